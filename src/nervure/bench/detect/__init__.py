"""Detection measured: every model beside plain baselines, by the protocol of each set."""
