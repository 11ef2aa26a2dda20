// Written by `python tools/console_types.py` out of the API's own description; a test holds it to that.
export type paths = Record<string, never>;
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /**
         * Me
         * @description Who asks: ``csrf`` must come as ``X-CSRF-Token`` with every change that a session makes.
         *
         *         ``expires`` (ms) is when the session or the token ends.
         */
        Me: {
            name: string;
            kind: string;
            role: string;
            rights: ("acknowledge" | "act" | "configure-interlock" | "manage-devices" | "manage-projects" | "manage-users" | "observe" | "read" | "read-audit" | "train" | "write")[];
            project: number | null;
            /** @default  */
            csrf: string;
            /** @default null */
            expires: number | null;
        };
        /**
         * SignIn
         * @description A name and a password.
         */
        SignIn: {
            name: string;
            password: string;
        };
        /**
         * Done
         * @description The answer to say that something was done.
         */
        Done: {
            /** @default true */
            done: boolean;
        };
        /**
         * NewPassword
         * @description The password that one has, and the one to have from now on.
         */
        NewPassword: {
            old: string;
            new: string;
        };
        /**
         * Begun
         * @description What the OpenID provider sent a browser back with.
         */
        Begun: {
            /** @default  */
            code: string;
            /** @default  */
            state: string;
            /** @default  */
            error: string;
            /** @default  */
            error_description: string;
            /** @default  */
            iss: string;
            /** @default  */
            session_state: string;
            /** @default  */
            scope: string;
        };
        /**
         * UserView
         * @description A user, without any secret.
         */
        UserView: {
            name: string;
            role: string;
            granted: string[];
            rights: string[];
            project: number | null;
            active: boolean;
            created: string;
        };
        /**
         * NewUser
         * @description A user to add; without a password they sign in at the OpenID provider only.
         */
        NewUser: {
            name: string;
            /** @enum {unknown} */
            role: "admin" | "engineer" | "operator" | "viewer";
            /** @default [] */
            granted: ("acknowledge" | "act" | "configure-interlock" | "manage-devices" | "manage-projects" | "manage-users" | "observe" | "read" | "read-audit" | "train" | "write")[];
            /** @default null */
            password: string | null;
            /** @default null */
            project: number | null;
        };
        /**
         * UserChange
         * @description What of a user is to be otherwise.
         */
        UserChange: {
            /** @enum {unknown} */
            role?: "admin" | "engineer" | "operator" | "viewer";
            granted?: ("acknowledge" | "act" | "configure-interlock" | "manage-devices" | "manage-projects" | "manage-users" | "observe" | "read" | "read-audit" | "train" | "write")[];
            password?: string;
            active?: boolean;
        };
        /**
         * TokenView
         * @description A token, by its number; ``token`` is the secret itself, shown when it is made and never again.
         */
        TokenView: {
            id: number;
            owner: string;
            name: string;
            rights: string[];
            created: string;
            expires: string;
            /** @default null */
            revoked: string | null;
            /** @default null */
            token: string | null;
        };
        /**
         * NewToken
         * @description A token to make; ``rights`` left out means all of its owner's, ``owner`` oneself.
         */
        NewToken: {
            name: string;
            /** @default null */
            rights: ("acknowledge" | "act" | "configure-interlock" | "manage-devices" | "manage-projects" | "manage-users" | "observe" | "read" | "read-audit" | "train" | "write")[] | null;
            /** @default null */
            days: number | null;
            /** @default null */
            owner: string | null;
        };
        /**
         * Project
         * @description A project: what belongs to it is seen by its users and devices only.
         */
        Project: {
            id: number;
            name: string;
            /** @default  */
            description: string;
            /** @default 0 */
            created_ns: number;
        };
        /**
         * NewProject
         * @description A project to add.
         */
        NewProject: {
            name: string;
            /** @default  */
            description: string;
        };
        /**
         * DeviceView
         * @description A device; ``last_seen`` (ms) is when the newest reading of what it may write to was taken.
         */
        DeviceView: {
            name: string;
            thing: number;
            project: number;
            datastreams: number[];
            created: string;
            /** @default null */
            revoked: string | null;
            /** @default null */
            last_seen: number | null;
        };
        /**
         * Admitted
         * @description A device's new token, or its certificate and key with those of the authority: shown this once.
         */
        Admitted: {
            device: components["schemas"]["DeviceView"];
            username: string;
            expires: string | null;
            /** @default  */
            token: string;
            /** @default  */
            certificate: string;
            /** @default  */
            key: string;
            /** @default  */
            authority: string;
        };
        /**
         * NewDevice
         * @description A device to add to a Thing; ``datastreams`` are the only ones it may write to, none: all.
         *
         *         With ``certificate`` it gets a certificate instead of a token, with ``request`` (a signing
         *         request, PEM) one for a key of its own.
         */
        NewDevice: {
            name: string;
            thing: number;
            /** @default [] */
            datastreams: number[];
            /** @default null */
            days: number | null;
            /** @default false */
            certificate: boolean;
            /** @default null */
            request: string | null;
        };
        /**
         * CredentialView
         * @description What a device signs in with, without its secret.
         */
        CredentialView: {
            kind: string;
            serial: string | null;
            created: string;
            expires: string | null;
            revoked: string | null;
        };
        /**
         * Rotation
         * @description What a device gets instead of what it has; the old is good for ``grace_s`` more seconds.
         */
        Rotation: {
            /** @default null */
            days: number | null;
            /** @default 0 */
            grace_s: number;
            /** @default null */
            certificate: boolean | null;
            /** @default null */
            request: string | null;
        };
        /**
         * AlertQuery
         * @description Which alerts; ``after`` is the ``x-next`` of the page before.
         *
         *         ``severity`` may name several, with commas between.
         */
        AlertQuery: {
            /** @default null */
            active: boolean | null;
            /** @default null */
            state: ("cleared" | "open" | "shelved" | "unacknowledged") | null;
            /** @default null */
            severity: string | null;
            /** @default null */
            solution: string | null;
            /** @default null */
            rule: string | null;
            /** @default null */
            thing: number | null;
            /** @default null */
            from: string | null;
            /** @default null */
            to: string | null;
            /** @default null */
            assignee: string | null;
            /** @default 100 */
            limit: number;
            /** @default null */
            after: string | null;
        };
        /**
         * CountView
         * @description How many alerts there are, by what they are.
         */
        CountView: {
            total: number;
            open: number;
            unacknowledged: number;
            shelved: number;
            severity: {
                [key: string]: number;
            };
            solution: {
                [key: string]: number;
            };
            rule: {
                [key: string]: number;
            };
        };
        /**
         * RateView
         * @description How many alerts were raised in each step; ``most`` is what the people who may see them can bear.
         */
        RateView: {
            from: number;
            to: number;
            step_s: number;
            count: number[];
            operators: number;
            most: number;
        };
        /**
         * RateQuery
         * @description When, in steps of how long, and of which solution.
         */
        RateQuery: {
            /** @default -24h */
            from: string;
            /** @default now */
            to: string;
            /** @default 10min */
            step: string;
            /** @default null */
            solution: string | null;
            /** @default null */
            severity: string | null;
        };
        /**
         * ChatterView
         * @description How often a rule rang: ``fleeting`` for less than a minute, ``repeated`` within ten after the last.
         */
        ChatterView: {
            solution: string;
            rule: string;
            severity: string;
            alarms: number;
            per_day: number;
            things: number;
            fleeting: number;
            repeated: number;
            median_s: number | null;
            true: number;
            false: number;
            planned: number;
            chatters: boolean;
        };
        /**
         * ChatterQuery
         * @description Of how many days up to now.
         */
        ChatterQuery: {
            /** @default 7 */
            days: number;
        };
        /**
         * PreviewView
         * @description What a rule would have rung with what was tried, beside what it rings with ``now``.
         *
         *         ``whole`` is false where only what has rung can be looked at again: scores are not kept, but those
         *         around an alarm are, so a lower limit or a shorter hold would ring at least as often as told.
         */
        PreviewView: {
            rule: string;
            when: string;
            measure: string;
            days: number;
            streams: number;
            tried: components["schemas"]["Tuned"];
            now: components["schemas"]["Tuned"];
            by_day: components["schemas"]["Days"];
            whole: boolean;
        };
        /**
         * Tuned
         * @description A limit (None: the calibrated one), how long it must hold, and what it would have rung.
         */
        Tuned: {
            limit: number | null;
            hold_s: number;
            alarms: number;
            per_day: number;
        };
        /**
         * Days
         * @description Alarms by day, as columns.
         */
        Days: {
            day: number[];
            alarms: number[];
        };
        /**
         * PreviewQuery
         * @description Which rule, as ``water.burst``; over how many days; and what to try: a limit, how long it holds.
         */
        PreviewQuery: {
            rule: string;
            /** @default 30 */
            days: number;
            /** @default null */
            limit: number | null;
            /** @default null */
            for: string | null;
        };
        /**
         * Judgement
         * @description What a person says an alert was: true, false, or of planned work; and why, if they like.
         */
        Judgement: {
            /** @enum {unknown} */
            verdict: "false" | "planned" | "true";
            /** @default  */
            note: string;
        };
        /**
         * Shelving
         * @description Until when nobody wants word of an alert (ISO 8601; none: word again), and why.
         */
        Shelving: {
            reason: string;
            /** @default null */
            until: string | null;
        };
        /**
         * AuditView
         * @description One line of the audit.
         */
        AuditView: {
            time: string;
            who: string;
            what: string;
            detail: Record<string, never>;
        };
        /**
         * Newest
         * @description How many, the newest first.
         */
        Newest: {
            /** @default 100 */
            limit: number;
        };
        /**
         * IncidentView
         * @description All that is known of an alert.
         */
        IncidentView: {
            alert: Record<string, never>;
            thing: components["schemas"]["Place"] | null;
            stream: components["schemas"]["StreamOf"] | null;
            rule: components["schemas"]["RuleView"] | null;
            shares: components["schemas"]["Share"][];
            similar: components["schemas"]["Similar"][];
            card: components["schemas"]["Card"] | null;
            monitor: Record<string, never> | null;
            trail: components["schemas"]["Did"][];
        };
        /**
         * Place
         * @description A Thing and where it is.
         */
        Place: {
            id: number;
            name: string;
            /** @default null */
            lon: number | null;
            /** @default null */
            lat: number | null;
        };
        /**
         * StreamOf
         * @description The Datastream of an alert.
         */
        StreamOf: {
            id: number;
            name: string;
            unit: string;
            kind: string;
            solution: string;
            signal: string;
            forecasts: number[];
        };
        /**
         * RuleView
         * @description The rule that raised an alert.
         */
        RuleView: {
            when: string;
            say: string;
            severity: string;
        };
        /**
         * Share
         * @description What a Datastream had to do with an alert, 0..1.
         */
        Share: {
            datastream: number;
            name: string;
            unit: string;
            share: number | null;
        };
        /**
         * Similar
         * @description An alert of before, and how much it is like this one, 0..1.
         */
        Similar: {
            alert: components["schemas"]["BriefAlert"];
            likeness: number;
        };
        /**
         * BriefAlert
         * @description What, where, since when, and what people said of it; instants in ms since 1970.
         */
        BriefAlert: {
            id: string;
            severity: string;
            solution: string;
            rule: string;
            thing: number;
            datastream: number;
            text: string;
            raised: number;
            end: number | null;
            active: boolean;
            acknowledged: boolean;
            shelved_until: number | null;
            sure: number | null;
            assignee: string | null;
            verdict: string | null;
        };
        /**
         * Card
         * @description A model's card.
         *
         *         ``streams`` are the names of the Datastreams in the order of the model's ``node`` index. The
         *         graph eats ``x [batch, time, channel]`` (NaN where missing), ``node [batch]``, ``calendar
         *         [batch, time + horizon, 5]`` (slot of day, day of week, holiday, slot of week, day of year) and
         *         yields ``y [batch, horizon, quantile]`` in the unit of the signal; scalers and masks are inside
         *         it. Where drivers are known ahead (``future``), it also eats ``future [batch, horizon, driver]``.
         *         ``neighbours [node, neighbour]`` are the nodes whose readings the neighbour channels hold. A
         *         ``joint`` graph sees all nodes at once: its batch is whole rounds of all nodes, in their order.
         *         ``spread [horizon, 2]`` is by how much calibration moved the outer quantiles outwards, below and
         *         above, on average; it is inside the graph already.
         *         ``limits`` holds the alarm thresholds and calibration scores of anomaly problems, of controllers what they
         *         were taught on (:mod:`nervure.core.strange`).
         *
         *         Of problems about whole Things there are no ``streams``, as the model knows none by name, and no
         *         ``horizon``: the graph eats ``x [batch, time, channel]`` as :mod:`nervure.core.case` cuts it and
         *         yields ``y [batch, answer]``, which are the remaining rows at ``quantiles``, or probabilities in
         *         the order of the problem's ``classes``.
         */
        Card: {
            name: string;
            version: string;
            solution: string;
            problem: components["schemas"]["Forecast"] | components["schemas"]["Anomaly"] | components["schemas"]["RemainingLife"] | components["schemas"]["Classify"] | components["schemas"]["Control"];
            model: string;
            created: string;
            /** @default [] */
            streams: string[];
            channels: components["schemas"]["Channel"][];
            /** @default [] */
            neighbours: number[][];
            /** @default false */
            joint: boolean;
            /** @default [] */
            future: components["schemas"]["Channel"][];
            every_ns: number;
            window: number;
            /** @default 0 */
            horizon: number;
            /** @default [] */
            quantiles: number[];
            /** @default UTC */
            zone: string;
            /** @default  */
            unit: string;
            /**
             * @default [
             *       "",
             *       ""
             *     ]
             */
            span: [
                string,
                string
            ];
            /** @default 0 */
            parameters: number;
            /** @default 0 */
            train_cpu_s: number;
            /** @default 0 */
            infer_ms: number;
            /** @default [] */
            metrics: components["schemas"]["Metric"][];
            /** @default [] */
            spread: [
                number,
                number
            ][];
            /** @default {} */
            limits: Record<string, never>;
            /** @default  */
            notes: string;
        };
        /**
         * Forecast
         * @description Foresee ``of`` over ``horizon`` from the last ``window``, with quantiles.
         *
         *         ``past`` names driver signals known up to now (weather), ``future`` those also known ahead
         *         (a weather forecast); the calendar is always known. ``calendar`` is the country or region
         *         whose public holidays count, as ISO 3166.
         *
         *         ``ground`` says what a deep model's forecast stands on, beside which it learns what differs: the
         *         ``season`` (what is usual at that slot of the week), the ``last`` reading, what a ``clear-sky``
         *         would give the plant, or the ``power-curve`` of a driver known ahead.
         */
        Forecast: {
            /** @enum {unknown} */
            type: "forecast";
            of: string;
            horizon: string;
            window: string;
            /** @default [] */
            past: string[];
            /** @default [] */
            future: string[];
            /** @default null */
            graph: string | null;
            /** @default mixer */
            model: string;
            /**
             * @default [
             *       0.1,
             *       0.25,
             *       0.5,
             *       0.75,
             *       0.9
             *     ]
             */
            quantiles: number[];
            /** @default 0.8 */
            coverage: number;
            /** @default null */
            calendar: string | null;
            /**
             * @default season
             * @enum {unknown}
             */
            ground: "clear-sky" | "last" | "power-curve" | "season";
        };
        /**
         * Anomaly
         * @description Tell when ``of`` stops behaving as it did, at a promised number of alarms a day.
         *
         *         ``residual`` names the forecast whose errors are the score; ``lead`` is how far ahead that
         *         forecast must have been issued, so that a slow fault cannot teach the forecast to expect it.
         *         ``side`` says which way is wrong: a burst only ever adds inflow.
         */
        Anomaly: {
            /** @enum {unknown} */
            type: "anomaly";
            of: string[];
            window: string;
            /** @default null */
            residual: string | null;
            /** @default null */
            lead: string | null;
            /**
             * @default both
             * @enum {unknown}
             */
            side: "both" | "high" | "low";
            /**
             * @default {
             *       "alarms_per_day": 1,
             *       "min_duration": "0s",
             *       "merge_gap": "6h"
             *     }
             */
            policy: components["schemas"]["AlarmPolicy"];
        };
        /**
         * AlarmPolicy
         * @description A promised number of alarms a day, over all streams of the problem together.
         *
         *         Scores above the calibrated limit for at least ``min_duration`` make an alarm; alarms of one
         *         stream closer than ``merge_gap`` are one.
         */
        AlarmPolicy: {
            /** @default 1 */
            alarms_per_day: number;
            /** @default 0s */
            min_duration: string;
            /** @default 6h */
            merge_gap: string;
        };
        /**
         * RemainingLife
         * @description Tell how many rows a machine has left before it fails, from its last ``window`` rows.
         *
         *         A row is what a Thing's signals read in one step of theirs: a flight, a charge, a day. Rows are
         *         counted, not timed: while a machine stands still there are none. ``settings`` are signals that say
         *         how it is run, ``of`` those that wear shows in. ``age`` is the signal that counts the rows since the
         *         machine was new; where it falls back the machine was replaced, and what was read before is forgotten.
         *         Nobody is told more than ``clip`` rows, as a healthy machine does not show what it will die of.
         *         ``unit`` is what a row is called, in UCUM.
         */
        RemainingLife: {
            /** @enum {unknown} */
            type: "life";
            of: string[];
            age: string;
            window: number;
            clip: number;
            /** @default [] */
            settings: string[];
            /** @default {cycle} */
            unit: string;
            /** @default rul_tcn */
            model: string;
            /**
             * @default [
             *       0.05,
             *       0.25,
             *       0.5,
             *       0.75,
             *       0.95
             *     ]
             */
            quantiles: number[];
        };
        /**
         * Classify
         * @description Tell which of ``classes`` a window of ``of`` shows, whenever ``wake`` says that something happened.
         *
         *         ``what`` is asked about: the ``state`` of a frame, the ``motion`` of a person. A window with more
         *         than a tenth of its readings missing is not asked about.
         */
        Classify: {
            /** @enum {unknown} */
            type: "class";
            what: string;
            of: string[];
            window: string;
            wake: components["schemas"]["Wake"];
            classes: string[];
            model: string;
        };
        /**
         * Wake
         * @description What makes a window worth asking about: the length of the vector ``of`` at its middle.
         *
         *         It must be ``above`` a level, in the signals' unit, and nowhere in the window stronger.
         */
        Wake: {
            of: string[];
            above: number;
        };
        /**
         * Control
         * @description Decide what to ``command`` every so often, from readings of ``of``; ``by`` is how it was learned.
         */
        Control: {
            /** @enum {unknown} */
            type: "control";
            command: string;
            of: string[];
            by: string;
            /** @default 10s */
            every: string;
        };
        /**
         * Channel
         * @description One input channel of the window: which signal, and whether each stream has its own.
         *
         *         ``back`` is by how many slots the channel lies earlier than the window (the same hours of last
         *         week); ``neighbour`` is 1 for the reading of the stream's nearest neighbour, 2 for the next.
         */
        Channel: {
            signal: string;
            /** @default false */
            shared: boolean;
            /** @default 0 */
            back: number;
            /** @default 0 */
            neighbour: number;
        };
        /**
         * Metric
         * @description One measured number: which subject (the model or a baseline), which horizon, on which part.
         */
        Metric: {
            subject: string;
            /** @enum {unknown} */
            kind: "baseline" | "deep" | "peer";
            metric: string;
            value: number;
            /** @default  */
            horizon: string;
            /**
             * @default test
             * @enum {unknown}
             */
            part: "test" | "validation";
        };
        /**
         * Did
         * @description Who did what about it, and when (ms).
         */
        Did: {
            time: number;
            who: string;
            what: string;
            detail: Record<string, never>;
        };
        /**
         * Assignment
         * @description Who is to look after an alert; none: nobody.
         */
        Assignment: {
            to: string | null;
        };
        /**
         * Comment
         * @description What somebody has to say about an alert.
         */
        Comment: {
            text: string;
        };
        /**
         * MonitorView
         * @description A monitor: its Thing and Datastreams, what it was taught, and where the node stands with it.
         */
        MonitorView: {
            thing: number;
            version: string;
            package: string;
            streams: number[];
            watched: number[];
            severity: string;
            fitted: string;
            about: Record<string, never>;
            standing: Record<string, never> | null;
        };
        /**
         * LoopView
         * @description A loop: its mode and what it has shown in it, what is in force and by whom, its limits, trips.
         *
         *         ``unproven`` is what it had yet to show when somebody raised it to this mode for a reason.
         *         ``guard`` is ``here``, ``away`` or ``none``; ``heard`` is when the device reported last, ``unfit`` why it
         *         would not do what it is told, ``damaged`` how many orders it refused by their digest since it started.
         *         ``lease`` is the longest that a model's command holds, ``promote`` what a higher mode takes.
         */
        LoopView: {
            id: number;
            name: string;
            thing: number;
            /** @enum {unknown} */
            mode: "advisory" | "auto" | "shadow" | "supervised";
            since: string | null;
            watch_until: string | null;
            watcher: string;
            unproven: string;
            judged: number;
            refused: number;
            trips: Record<string, never>[];
            guard: string;
            heard: string | null;
            unfit: string;
            damaged: number;
            values: {
                [key: string]: number | boolean | string;
            };
            holder: string;
            slots: components["schemas"]["SlotView"][];
            limits: Record<string, never>[];
            plan: Record<string, never>[];
            fields: {
                [key: string]: string;
            };
            verdicts: components["schemas"]["VerdictView"][];
            waiting: number;
            lease: string;
            promote: components["schemas"]["PromotionView"];
        };
        /**
         * SlotView
         * @description What a slot of the priority array holds, and for how long yet.
         */
        SlotView: {
            slot: number;
            by: string;
            actor: string;
            task: string;
            values: {
                [key: string]: number | boolean | string;
            };
            /** @default null */
            left_s: number | null;
        };
        /**
         * VerdictView
         * @description What a rule said.
         */
        VerdictView: {
            rule: string;
            kind: string;
            outcome: string;
            /** @default  */
            why: string;
        };
        /**
         * PromotionView
         * @description What a loop has to show before it may do more: commands judged, and the share refused at most.
         */
        PromotionView: {
            least: number;
            refused: number;
        };
        /**
         * ModesView
         * @description How many loops are in each mode; how many have tripped, miss their guard; how many Tasks wait.
         */
        ModesView: {
            modes: {
                [key: string]: number;
            };
            tripped: number;
            away: number;
            waiting: number;
        };
        /**
         * LogView
         * @description The newest lines of a loop's log; ``broken`` is the number of a line that was changed, if one was.
         */
        LogView: {
            lines: components["schemas"]["LineView"][];
            broken: number | null;
        };
        /**
         * LineView
         * @description A line of a loop's log.
         */
        LineView: {
            number: number;
            time: string;
            task: number | null;
            who: string;
            what: string;
            detail: Record<string, never>;
            hash: string;
            seal: string;
        };
        /**
         * LogQuery
         * @description How many lines, from before which number on.
         */
        LogQuery: {
            /** @default 100 */
            limit: number;
            /** @default null */
            before: number | null;
        };
        /**
         * TaskView
         * @description A Task of a loop: what is wanted by whom, how it stands, who said yes.
         */
        TaskView: {
            id: number;
            loop: number;
            name: string;
            created: string;
            status: string;
            values: Record<string, never>;
            by: string;
            model: string;
            detail: string;
            approved: string[];
        };
        /**
         * Handing
         * @description Values to set by hand, and for how long; without ``minutes`` until they are given back.
         */
        Handing: {
            values: {
                [key: string]: number | boolean | string;
            };
            /** @default null */
            minutes: number | null;
        };
        /**
         * Papers
         * @description What a guard is given: ``act`` and ``parameters`` as they stand at the TaskingCapability.
         */
        Papers: {
            /**
             * @default 1
             * @enum {unknown}
             */
            version: 1;
            thing: number;
            capability: number;
            /** @default  */
            name: string;
            act: Record<string, never>;
            parameters: Record<string, never>;
            key: string;
        };
        /**
         * Giving
         * @description Whether the guard is to get a new key: the old one, and whoever has it, is believed no more.
         */
        Giving: {
            /** @default false */
            renew: boolean;
        };
        /**
         * Moding
         * @description The mode to go to, and why where evidence is missing: that stands in the log.
         *
         *         ``hours`` is how long the asker has the watch of a supervised loop.
         */
        Moding: {
            /** @enum {unknown} */
            mode: "advisory" | "auto" | "shadow" | "supervised";
            /** @default 8 */
            hours: number;
            /** @default  */
            because: string;
        };
        /**
         * Saying
         * @description Why, if one likes to say.
         */
        Saying: {
            /** @default  */
            why: string;
        };
        /**
         * TaskQuery
         * @description In which state, how many.
         */
        TaskQuery: {
            /** @default awaiting approval */
            status: string;
            /** @default 100 */
            limit: number;
        };
        /**
         * TwinsView
         * @description Which twins there are, and what can be asked of them.
         */
        TwinsView: {
            twins: components["schemas"]["TwinView"][];
            questions: components["schemas"]["QuestionView"][];
        };
        /**
         * TwinView
         * @description A twin, and whether what computes it is on this machine.
         *
         *         ``kept`` is when one that runs beside this node last wrote down where it is, in ms since 1970.
         */
        TwinView: {
            name: string;
            about: string;
            engine: string;
            installed: boolean;
            /** @default  */
            hint: string;
            /** @default null */
            kept: number | null;
        };
        /**
         * QuestionView
         * @description A question to begin with: of which twin, how many simulated minutes, in which circumstances.
         *
         *         ``measure`` are the numbers of what is done: commands that are held, circumstances that are different.
         */
        QuestionView: {
            name: string;
            /** @default  */
            title: string;
            /** @default roads */
            twin: string;
            /** @default null */
            minutes: number | null;
            /** @default {} */
            scenario: {
                [key: string]: number;
            };
            /** @default {} */
            measure: {
                [key: string]: number;
            };
        };
        /**
         * AskedView
         * @description A question that was asked, how far it is (``share`` 0 to 1), and what came of it.
         *
         *         Instants are ms since 1970; ``said`` is what it does, or why it failed. ``film`` tells whether a film
         *         of it was kept, ``unfilmed`` why not, if one was wanted.
         */
        AskedView: {
            id: number;
            question: string;
            title: string;
            twin: string;
            seeds: number;
            minutes: number | null;
            scenario: {
                [key: string]: number;
            };
            measure: {
                [key: string]: number;
            };
            who: string;
            /** @enum {unknown} */
            state: "cancelled" | "done" | "failed" | "running" | "waiting";
            /** @default 0 */
            share: number;
            /** @default  */
            said: string;
            /** @default 0 */
            asked: number;
            /** @default null */
            began: number | null;
            /** @default null */
            ended: number | null;
            /** @default [] */
            changes: components["schemas"]["ChangeView"][];
            /** @default false */
            film: boolean;
            /** @default  */
            unfilmed: string;
            /** @default false */
            now: boolean;
        };
        /**
         * ChangeView
         * @description A key figure with nothing done and with the measure, and the difference with its 95 % interval.
         *
         *         ``p`` is how often chance alone makes a difference as large.
         */
        ChangeView: {
            kpi: string;
            unit: string;
            base: number | null;
            do: number | null;
            mean: number | null;
            low: number | null;
            high: number | null;
            p: number | null;
        };
        /**
         * Asking
         * @description What to ask: a question by its name, over how many pairs of runs.
         *
         *         ``minutes``, ``scenario`` (in both runs) and ``measure`` (what is done) change the question; quantities
         *         that it does not have are refused. With ``film`` one pair of runs is kept step by step. With ``now`` all
         *         runs begin where the twin is that runs beside this node (``nervure twin run NAME --keep``), and go on with
         *         other chance each.
         */
        Asking: {
            question: string;
            /** @default 5 */
            seeds: number;
            /** @default null */
            minutes: number | null;
            /** @default {} */
            scenario: {
                [key: string]: number;
            };
            /** @default {} */
            measure: {
                [key: string]: number;
            };
            /** @default true */
            film: boolean;
            /** @default false */
            now: boolean;
        };
        /**
         * OverviewView
         * @description What is wrong, where, and how the node does.
         */
        OverviewView: {
            now: number;
            clock: number;
            states: string[];
            severities: string[];
            things: components["schemas"]["ThingStates"];
            abnormal: components["schemas"]["Abnormal"];
            counts: {
                [key: string]: number;
            };
            strip: components["schemas"]["Strip"];
            incidents: components["schemas"]["BriefAlert"][];
        };
        /**
         * ThingStates
         * @description Things as columns: ``state`` is the place in ``states``.
         */
        ThingStates: {
            id: number[];
            state: number[];
            /** @default [] */
            lon: (number | null)[];
            /** @default [] */
            lat: (number | null)[];
        };
        /**
         * Abnormal
         * @description The Things that are not normal, as columns; ``severity`` is -1 without an open alert.
         */
        Abnormal: {
            thing: number[];
            state: number[];
            open: number[];
            severity: number[];
            since: (number | null)[];
        };
        /**
         * Strip
         * @description How the node does: delay from sensed to scored, newest reading, median age of the newest readings.
         */
        Strip: {
            now: number;
            p95_ms: number | null;
            newest: number | null;
            freshness_s: number | null;
            expected: number;
            reporting: number;
            /** @default [] */
            problems: string[];
        };
        /**
         * OverviewQuery
         * @description Whether the answer says where Things are.
         */
        OverviewQuery: {
            /** @default true */
            places: boolean;
        };
        /**
         * ThingsView
         * @description Things as columns.
         */
        ThingsView: {
            id: number[];
            name: string[];
            lon: (number | null)[];
            lat: (number | null)[];
            project: number[];
            solution: string[];
            streams: number[];
        };
        /**
         * StreamsView
         * @description Datastreams as columns, with their first and newest times (ms) and newest value.
         */
        StreamsView: {
            id: number[];
            thing: number[];
            name: string[];
            unit: string[];
            solution: string[];
            signal: string[];
            kind: string[];
            source: (number | null)[];
            every_s: (number | null)[];
            low: (number | null)[];
            high: (number | null)[];
            first: (number | null)[];
            last: (number | null)[];
            value: (number | null)[];
        };
        /**
         * StreamQuery
         * @description Which Datastreams.
         */
        StreamQuery: {
            /** @default null */
            thing: number | null;
            /** @default null */
            solution: string | null;
            /** @default null */
            signal: string | null;
            /** @default null */
            kind: ("answer" | "forecast" | "reading" | "score") | null;
        };
        /**
         * SeriesWhole
         * @description Several series of one span.
         */
        SeriesWhole: {
            from: number;
            to: number;
            px: number;
            series: components["schemas"]["SeriesView"][];
        };
        /**
         * SeriesView
         * @description One series: ``time`` starts with ms since 1970 and goes on with differences; ``rows`` there were.
         */
        SeriesView: {
            stream: number;
            kind: string;
            thing: number;
            name: string;
            unit: string;
            every_s: number | null;
            source: number | null;
            rows: number;
            reduced: boolean;
            time: number[];
            value: (number | null)[];
            gaps: [
                number,
                number
            ][];
            /** @default null */
            low: (number | null)[] | null;
            /** @default null */
            high: (number | null)[] | null;
        };
        /**
         * SeriesQuery
         * @description Which Datastreams, when, how wide the screen is, and how to reduce.
         */
        SeriesQuery: {
            streams: string;
            /** @default -24h */
            from: string;
            /** @default now */
            to: string;
            /** @default 1200 */
            px: number;
            /**
             * @default minmax
             * @enum {unknown}
             */
            method: "lttb" | "m4" | "minmax";
            /** @default false */
            forecast: boolean;
        };
        /**
         * HeatView
         * @description A matrix of Datastreams by columns of time; ``data`` is base64, row by row.
         */
        HeatView: {
            from: number;
            to: number;
            px: number;
            stream: number[];
            encoding: string;
            scale: string;
            low: (number | null)[] | number | null;
            high: (number | null)[] | number | null;
            data: string;
        };
        /**
         * HeatQuery
         * @description Which Datastreams, when, how many columns, and how cells are written.
         */
        HeatQuery: {
            /** @default null */
            streams: string | null;
            /** @default null */
            thing: number | null;
            /** @default null */
            solution: string | null;
            /** @default null */
            signal: string | null;
            /** @default -24h */
            from: string;
            /** @default now */
            to: string;
            /** @default 300 */
            px: number;
            /**
             * @default mean
             * @enum {unknown}
             */
            value: "last" | "max" | "mean" | "min";
            /**
             * @default row
             * @enum {unknown}
             */
            scale: "all" | "row";
            /**
             * @default u8
             * @enum {unknown}
             */
            encoding: "f32" | "u8";
        };
        /**
         * LabelView
         * @description A label of a Datastream; instants in ms since 1970.
         */
        LabelView: {
            id: string;
            stream: number;
            from: number;
            to: number;
            /** @enum {unknown} */
            label: "event" | "fault" | "planned";
            note: string;
            by: string;
            at: number;
        };
        /**
         * LabelQuery
         * @description Of which Datastreams.
         */
        LabelQuery: {
            streams: string;
        };
        /**
         * NewLabel
         * @description What a span of some Datastreams was: a fault of the sensor, an event, or planned work.
         */
        NewLabel: {
            streams: string;
            from: string;
            to: string;
            /** @enum {unknown} */
            label: "event" | "fault" | "planned";
            /** @default  */
            note: string;
        };
        /**
         * LiveQuery
         * @description What to listen to: Datastreams, alerts, how the node does.
         */
        LiveQuery: {
            /** @default null */
            streams: string | null;
            /** @default false */
            alerts: boolean;
            /** @default false */
            strip: boolean;
        };
        /**
         * ModelView
         * @description A model: what its card says of its test, the best plain baseline beside it, and its age.
         *
         *         ``metric`` is the smaller the better. ``coverage`` is the share of readings inside the interval that
         *         promised ``promised`` of them.
         */
        ModelView: {
            id: number;
            name: string;
            version: string;
            solution: string;
            problem: string;
            added: string;
            promoted: boolean;
            promoted_at: string | null;
            age_days: number;
            metric: string | null;
            value: number | null;
            baseline: string | null;
            baseline_value: number | null;
            coverage: number | null;
            promised: number | null;
            infer_ms: number;
            streams: number;
            span: [
                string,
                string
            ];
        };
        /**
         * ModelDetail
         * @description A model with its card, whole.
         */
        ModelDetail: {
            model: components["schemas"]["ModelView"];
            card: components["schemas"]["Card"];
        };
        /**
         * ErrorsView
         * @description How a model does on what was read, a Datastream a place: its newest forecast of each instant is judged.
         *
         *         ``drift`` is the error of the later half of the time over that of the earlier half. ``shadow``: these
         *         are not forecasts that were told, but what the model would have told.
         */
        ErrorsView: {
            stream: number[];
            thing: number[];
            mae: (number | null)[];
            bias: (number | null)[];
            coverage: (number | null)[];
            rows: number[];
            whole: components["schemas"]["Period"];
            earlier: components["schemas"]["Period"];
            later: components["schemas"]["Period"];
            drift: number | null;
            promised: number | null;
            shadow: boolean;
        };
        /**
         * Period
         * @description A time (ms): mean absolute error, and the share of readings inside the interval.
         */
        Period: {
            start: number;
            end: number;
            mae: number | null;
            coverage: number | null;
            rows: number;
        };
        /**
         * ErrorsQuery
         * @description Of how many days up to now; with ``replay`` the readings are gone through again with this model.
         *
         *         So models can be held against each other that did not score at the same time.
         */
        ErrorsQuery: {
            /** @default 7 */
            days: number;
            /** @default false */
            replay: boolean;
        };
        /**
         * Training
         * @description The last training: of what, by whom, since when (ms), and what came of it.
         *
         *         A new model is ``promoted`` if it beat the one that scores on what neither was shown; ``said`` is why,
         *         or why there is none.
         */
        Training: {
            /**
             * @default none
             * @enum {unknown}
             */
            state: "done" | "failed" | "none" | "running";
            /** @default  */
            solution: string;
            /** @default  */
            problem: string;
            /** @default  */
            who: string;
            /** @default null */
            began: number | null;
            /** @default null */
            ended: number | null;
            /** @default null */
            version: string | null;
            /** @default null */
            promoted: boolean | null;
            /** @default  */
            said: string;
        };
        /**
         * Wanted
         * @description What to train: ``live`` on the node's own readings too, ``renew`` from the model that scores now.
         */
        Wanted: {
            solution: string;
            problem: string;
            /** @default true */
            live: boolean;
            /** @default true */
            renew: boolean;
            /** @default 180 */
            budget_s: number;
        };
        /**
         * RefusedView
         * @description A message that could not be taken; ``payload`` is text, or base64 where it is none.
         */
        RefusedView: {
            id: string;
            reason: string;
            detail: string;
            topic: string;
            datastream: number | null;
            count: number;
            received: number;
            payload: string;
            /** @enum {unknown} */
            encoding: "base64" | "text";
            cut: boolean;
        };
        /**
         * QuarantineQuery
         * @description Which messages; ``after`` is the ``x-next`` of the page before.
         */
        QuarantineQuery: {
            /** @default null */
            reason: string | null;
            /** @default null */
            datastream: number | null;
            /** @default 50 */
            limit: number;
            /** @default null */
            after: string | null;
        };
        /**
         * QualityView
         * @description How good what came is, a Datastream a place.
         *
         *         ``present`` is the share of the intervals expected in which something came, ``gaps`` how often
         *         nothing did for three intervals; ``late``, ``out_of_range`` and ``stuck`` are shares of the rows.
         */
        QualityView: {
            stream: number[];
            rows: number[];
            expected: (number | null)[];
            present: (number | null)[];
            gaps: number[];
            longest_s: (number | null)[];
            late: (number | null)[];
            out_of_range: (number | null)[];
            stuck: (number | null)[];
            last: (number | null)[];
        };
        /**
         * QualityQuery
         * @description Which Datastreams, and when.
         */
        QualityQuery: {
            /** @default null */
            streams: string | null;
            /** @default null */
            thing: number | null;
            /** @default null */
            solution: string | null;
            /** @default -7d */
            from: string;
            /** @default now */
            to: string;
        };
        /**
         * Decoded
         * @description What would become of a message.
         */
        Decoded: {
            taken: boolean;
            subject: string;
            rows: components["schemas"]["Sample"];
            refused: components["schemas"]["Why"][];
        };
        /**
         * Sample
         * @description What would be stored, as columns; ``value`` is null where ``text`` holds a result that is no number.
         */
        Sample: {
            stream: number[];
            time: number[];
            value: (number | null)[];
            text: (string | null)[];
            quality: string[];
        };
        /**
         * Why
         * @description Why something would not be taken: of how many readings, from which on.
         */
        Why: {
            reason: string;
            detail: string;
            index: number;
            count: number;
        };
        /**
         * Trial
         * @description A message to try out: where it would be published, and what it says.
         */
        Trial: {
            topic: string;
            payload: string;
            /**
             * @default text
             * @enum {unknown}
             */
            encoding: "base64" | "text";
        };
        /**
         * SolutionView
         * @description A solution; ``watched``: whether it runs here.
         */
        SolutionView: {
            name: string;
            tier: string;
            title: string;
            watched: boolean;
            things: number;
            signals: components["schemas"]["SignalView"][];
            problems: components["schemas"]["ProblemView"][];
            rules: components["schemas"]["RuleOf"][];
            data: string | null;
        };
        /**
         * SignalView
         * @description A signal that a solution needs, and how many Datastreams carry it.
         */
        SignalView: {
            name: string;
            unit: string;
            every: string;
            low: number | null;
            high: number | null;
            site: boolean;
            streams: number;
        };
        /**
         * ProblemView
         * @description What a solution asks of its data, and the version of the model that answers.
         */
        ProblemView: {
            name: string;
            kind: string;
            model: string | null;
        };
        /**
         * RuleOf
         * @description A rule of a solution; ``key`` names it in alerts.
         */
        RuleOf: {
            key: string;
            name: string;
            when: string;
            severity: string;
            say: string;
        };
        /**
         * CheckView
         * @description One thing that was looked at: ``wrong`` stops the platform, ``missing`` stops a part of it.
         */
        CheckView: {
            name: string;
            state: string;
            found: string;
            /** @default  */
            fix: string;
        };
        /**
         * Problem
         * @description What went wrong, and what to do.
         */
        Problem: {
            code: number;
            type: string;
            message: string;
            /** @default null */
            hint: string | null;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
