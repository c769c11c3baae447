/// Limits for what strangers on the broker, and front doors, can make this program do. Each has its test.
public enum BusLimit {
    /// Registrations of front doors that the broker has not acknowledged. A front door has 2,048 connections.
    public static let registrations = 4096
    /// How long a front door waits for the broker.
    public static let registrationTime = Duration.seconds(1)

    /// Registrations that are published once more when a gateway comes, and how old they may be. A router that nobody
    /// has heard from by then is known nowhere.
    public static let recentRegistrations = 4096
    public static let recentTime = Duration.seconds(300)
    /// Registrations that could not be published and wait until the broker is back. More than these are left out. Their
    /// age has the same limit: a living router has shaken hands by then, and has a note.
    public static let lateRegistrations = 32_768
    /// How long after a gateway came they are published. When a broker is back, several gateways come at the same time.
    public static let arrivalTime = Duration.seconds(1)
    /// Shortest time from one such publication to the next, whoever comes.
    public static let repeatInterval = Duration.seconds(3)

    /// Registrations from the bus that the handler has not carried out. More than these are dropped: a router that was
    /// not let in asks again within a minute.
    public static let newcomers = 4096
    /// How many of them the handler has at a time.
    public static let newcomersAtHandler = 256
    /// How long a registration is kept that the handler cannot carry out now. Its router asks again after that time.
    public static let newcomerTime = Duration.seconds(60)

    /// News of routers that the handler has not answered: more than the retained notes of all gateways. More than these
    /// are dropped; they come again when their notes are refreshed.
    public static let news = 65_536
    /// How much news the handler has at a time.
    public static let newsAtHandler = 256
    /// Routers whose last note is remembered, so that a repeated one is not passed on. When there are more, all are
    /// forgotten, and some work is done twice. A dictionary grows beyond three quarters of a power of two.
    public static let rememberedNotes = 98_304
    /// A note from further in the future than this is ignored, and so is a registration that is older.
    public static let clockTolerance = Duration.seconds(300)
    /// Shortest time from one notice about a gateway's clock to the next.
    static let clockNoticeInterval = Duration.seconds(10)
    /// How far the times of our notes may be ahead of our clock. Thousands of notes within a moment put them ahead, and
    /// so does a clock that was set back.
    static let clockGuard = Duration.seconds(60)
    /// Smallest difference of the two clocks that counts as a step. The slow corrections of NTP are far smaller from
    /// one check to the next.
    static let clockStep = Duration.seconds(5)

    /// Shortest time from one notice about what the broker refuses to the next.
    static let refusalInterval = Duration.seconds(60)
    /// How long the broker may take to send back what it has accepted.
    static let echoTime = Duration.seconds(15)
    /// Domains that this gateway served once, according to what the broker keeps.
    static let formerDomains = 256
    /// How often what somebody else says of this gateway is corrected.
    static let correctionInterval = Duration.seconds(1)
    /// How often this gateway's state is entered among the others, besides at once when it changes.
    static let ownInterval = Duration.seconds(10)

    /// Gateways whose data are kept.
    public static let gateways = 512

    /// Notes of ours on their way to the broker. They are few, so that registrations do not wait behind them.
    public static let notesAtBroker = 256
    /// Routers that are gone and whose removal is not published yet.
    public static let farewells = 65_536

    /// How long the handler is left alone after it could not be reached, or could not do what it was asked.
    public static let handlerPause = Duration.seconds(1)
    /// Longest time from one list of a domain's routers to the next.
    static let routersInterval = Duration.seconds(5)
    /// Shortest, for domains whose routers become stale very soon.
    static let shortestRoutersInterval = Duration.milliseconds(250)
    /// Time from one question about the domains to the next. WireGuard does not report a changed key or port, and until
    /// the other gateways know it, they send routers to the wrong place. The handler answers from its snapshot of the
    /// kernel, which is two seconds old at most.
    static let statusInterval = Duration.seconds(1)
    /// How often the number of connected routers is published, as the field's workers do.
    static let metricsInterval = Duration.seconds(60)
    /// Shortest time from one count of our notes to the next.
    static let countInterval = Duration.seconds(1)
    /// How long after the broker's answer to a subscription all kept messages must have come.
    static let replayTime = Duration.seconds(2)
    /// The same after the subscription, if there is no answer.
    static let subscriptionTime = Duration.seconds(10)
    /// How long a publication may be without an answer. A broker that drops what a slow client does not take drops its
    /// answers too (mosquitto since 2.0.16), and whatever waits for them would wait for ever.
    static let acknowledgementTime = Duration.seconds(30)
    /// How often that is checked.
    static let acknowledgementCheck = Duration.seconds(10)
    /// How often the missing notes of one gateway are requested again.
    static let replays = 3
    /// Notices for the operator in one round of the loop.
    static let notices = 16
    /// How long after the first ignored message the log reports it.
    static let noticeDelay = Duration.seconds(2)
    /// Shortest time from one report of ignored messages to the next.
    static let noticeInterval = Duration.seconds(3600)
}
