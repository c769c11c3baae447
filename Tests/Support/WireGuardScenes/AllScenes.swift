extension Scene {
    /// Two that begin at the same time spoil each other's handshake, and perhaps again when they try again.
    private static let glare: Set<Outcome> = [.atOnce, .afterFive, .later]

    private static let bothKnown: [Step] = [.set(.a, .first), .set(.b, .first)]
    private static let session: [Step] = bothKnown + [.send(.a), .wait(1000)]
    private static let aIsStuck: [Step] = [.set(.b), .set(.a, .dead), .send(.a), .wait(1000)]
    private static let bothAreStuck: [Step] = [
        .set(.a, .dead), .set(.b, .dead), .together([.send(.a), .send(.b)]), .wait(1000),
    ]

    /// How a session begins, and begins again. Source: measured with wireguard-go 0.0.20220316 and Linux 6.1.
    public static let handshakes: [Scene] = [
        Scene("one side sends", .packet([.atOnce]), bothKnown + [.send(.a)]),
        Scene("only the initiator knows where", .packet([.atOnce]), [.set(.a, .first), .set(.b), .send(.a)]),
        Scene("both send at once", .packet(glare), bothKnown + [.together([.send(.a), .send(.b)])]),
        Scene(
            "a keepalive is set on both at once",
            .handshake(glare),
            [.together([.set(.a, .first, keepalive: 25), .set(.b, .first, keepalive: 25)])]
        ),
        Scene("stuck, and a new endpoint", .packet([.afterFour]), aIsStuck + [.set(.a, .first), .send(.a)]),
        Scene(
            "both stuck, and a new endpoint with a keepalive",
            .packet([.afterFour, .later]),
            bothAreStuck + [.set(.b, .first), .set(.a, .first, keepalive: 1)]
        ),
        Scene("stuck, and made anew", .packet([.atOnce]), aIsStuck + [.set(.a, renewed: true, .first), .send(.a)]),
        Scene(
            "both stuck, and one made anew",
            .packet([.atOnce]),
            bothAreStuck + [.set(.a, renewed: true, .first), .send(.a)]
        ),
        Scene(
            "stuck, and the other side sends",
            .packet([.atOnce]),
            aIsStuck + [.set(.a, .first), .set(.b, .first), .send(.b)]
        ),
        Scene(
            "both stuck, both made anew, and both send at once",
            .packet(glare),
            bothAreStuck + [
                .set(.a, renewed: true, .first), .set(.b, renewed: true, .first), .together([.send(.a), .send(.b)]),
            ]
        ),
        Scene(
            "a session, and both endpoints moved",
            .packet([.atOnce]),
            session + [.set(.a, .second), .set(.b, .second), .send(.a)]
        ),
        Scene(
            "a session, and made anew after 40 ms",
            .packet([.atOnce]),
            bothKnown + [.send(.a), .wait(40), .set(.a, renewed: true, .first), .send(.a)]
        ),
        Scene(
            "a session, and made anew after a second",
            .packet([.atOnce]),
            session + [.set(.a, renewed: true, .first), .send(.a)]
        ),
        Scene(
            "a session, and made anew at once",
            // A slow machine may take longer than the 20 ms in which no second initiation is answered.
            .packet([.afterFive, .atOnce]),
            bothKnown + [.send(.a), .wait(3), .set(.a, renewed: true, .first), .send(.a)]
        ),
        // The kernel drops what it cannot send anywhere; wireguard-go begins to wait for an answer.
        Scene(
            "a packet without an endpoint, and then an endpoint",
            .packet([.afterFour]),
            kernel: .packet([.atOnce]),
            [.set(.b), .set(.a), .send(.a), .wait(1000), .set(.a, .first), .send(.a)]
        ),
        Scene(
            "an endpoint and a keepalive, and no packet",
            .handshake([.atOnce]),
            [.set(.b), .set(.a, .first, keepalive: 25)]
        ),
        Scene(
            "both send at once, and one is made anew",
            .packet([.atOnce]),
            bothKnown + [
                .together([.send(.a), .send(.b)]), .wait(300), .set(.a, renewed: true, .first), .send(.a),
            ]
        ),
    ]

    private static func move(_ delay: Int) -> [Step] { [.wait(500), .move(.a), .move(.b), .wait(500 + 4 * delay)] }
    private static func heldMove(_ delay: Int) -> [Step] {
        [
            .wait(500), .hold(.a), .hold(.b), .wait(2 * delay + 20), .move(.a), .wait(5), .move(.b), .release(.a),
            .release(.b), .wait(500 + 4 * delay),
        ]
    }

    /// How traffic goes from the hub to the pair: what is on its way is lost, if it is not waited for. The emulated
    /// kernel's machines move one after the other.
    public static let moves: [Scene] = [
        Scene("a move, 1 ms from the hub", .lost(0...1), kernel: .lost(0...5), hubDelay: 1, move(1)),
        Scene("a move, 50 ms from the hub", .lost(8...12), kernel: .lost(8...16), hubDelay: 50, move(50)),
        Scene("a move with a hold, 1 ms from the hub", .lost(0...0), hubDelay: 1, heldMove(1)),
        Scene("a move with a hold, 50 ms from the hub", .lost(0...0), hubDelay: 50, heldMove(50)),
    ]
}
