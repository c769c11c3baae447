/// What strangers on the broker, and front doors, may make of this program. A test stands at each.
public enum BusLimit {
    /// Registrations of front doors that the broker has not acknowledged. A front door has 2,048 connections.
    public static let registrations = 4096
    /// How long a front door waits for the broker.
    public static let registrationTime = Duration.seconds(1)

    /// Registrations that a gateway which comes is told of once more, and how old they may be: by then a router that nobody
    /// has heard of is no router anywhere.
    public static let recentRegistrations = 4096
    public static let recentTime = Duration.seconds(300)
    /// Registrations that could not be published, and are when the broker is back; what is more is left out. Their age is limited
    /// as that of the others: a router that is alive has shaken hands by then, and has a note.
    public static let lateRegistrations = 32_768
    /// How long after a gateway came that is done; others come at the same time when a broker is back.
    public static let arrivalTime = Duration.seconds(1)
    /// Not more often than this, whoever comes.
    public static let repeatInterval = Duration.seconds(3)

    /// Registrations from the bus that the handler has not carried out. What is more is dropped: a router that nobody lets
    /// in asks again within a minute.
    public static let newcomers = 4096
    /// Those that the handler is asked for at a time.
    public static let newcomersAtHandler = 256
    /// How long one that the handler cannot carry out now is kept. Its router comes again after that time.
    public static let newcomerTime = Duration.seconds(60)

    /// News of routers that the handler has not taken in: more than a retained set of all gateways has. What is more is
    /// dropped; it comes again when its note is refreshed.
    public static let news = 65_536
    /// News that the handler is told at a time.
    public static let newsAtHandler = 256
    /// Routers of which the last note is remembered, so that one that comes again is not carried on. When there are more,
    /// all are forgotten, and some work is done twice. A dictionary grows beyond three quarters of a power of two.
    public static let rememberedNotes = 98_304
    /// A note that is from further in the future than this is not believed, nor is a registration that is older.
    public static let clockTolerance = Duration.seconds(300)
    /// Least time from one word on a gateway's clock to the next.
    static let clockNoticeInterval = Duration.seconds(10)
    /// How far the times of our notes may be ahead of our clock: thousands of them within a moment make them so, and a
    /// clock that was put back.
    static let clockGuard = Duration.seconds(60)
    /// From which on a difference of the two clocks is a step. The slow corrections of NTP are far less from one look to
    /// the next.
    static let clockStep = Duration.seconds(5)

    /// Least time from one word on what the broker does not take to the next.
    static let refusalInterval = Duration.seconds(60)
    /// Domains that this gateway served once, as the broker keeps it.
    static let formerDomains = 256
    /// How often what somebody else says of this gateway is corrected.
    static let correctionInterval = Duration.seconds(1)
    /// How often what is known of this gateway is put where the others' words are, besides at once when it changes.
    static let ownInterval = Duration.seconds(10)

    /// Gateways whose data are kept.
    public static let gateways = 512

    /// Notes of ours on their way to the broker. They are few, so that registrations do not wait behind them.
    public static let notesAtBroker = 256
    /// Routers that are gone, and of which the broker was not told yet.
    public static let farewells = 65_536

    /// How long the handler is left alone after it could not be reached, or could not do what it was asked.
    public static let handlerPause = Duration.seconds(1)
    /// Longest time from one look at a domain's routers to the next.
    static let routersInterval = Duration.seconds(5)
    /// Shortest, for domains whose routers become stale very soon.
    static let shortestRoutersInterval = Duration.milliseconds(250)
    /// Time from one look at how the domains are doing to the next: WireGuard tells nobody that its key or port changed, and
    /// until the others know, they send routers where nobody is. The handler answers from its picture of the kernel, which
    /// is two seconds old at most.
    static let statusInterval = Duration.seconds(1)
    /// How often others are told how many routers are connected here, as the field's workers do.
    static let metricsInterval = Duration.seconds(60)
    /// Shortest time from one count of our notes to the next.
    static let countInterval = Duration.seconds(1)
    /// How long after the broker's answer to a subscription all that it keeps must be here.
    static let replayTime = Duration.seconds(2)
    /// The same after the subscription, if there is no answer.
    static let subscriptionTime = Duration.seconds(10)
    /// How long a publication may be without an answer. A broker that drops what a slow client does not take drops its
    /// answers too (mosquitto since 2.0.16), and whatever waits for them would wait for ever.
    static let acknowledgementTime = Duration.seconds(30)
    /// How often that is looked at.
    static let acknowledgementCheck = Duration.seconds(10)
    /// How often it is asked again for what is missing of one gateway's.
    static let replays = 3
    /// Words for the operator in one round of the loop.
    static let notices = 16
    /// How long after the first thing that was left out the log says so.
    static let noticeDelay = Duration.seconds(2)
    /// How often the log says what was left out.
    static let noticeInterval = Duration.seconds(3600)
}
