"""Learning to control: policies for signals from trial and error in a twin."""
