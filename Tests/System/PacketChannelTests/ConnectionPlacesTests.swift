import PacketChannel
import Testing

@Suite("Places at a local socket") struct ConnectionPlacesTests {
    @Test("One user has so many places, and gets back those that he gives back")
    func ofUser() {
        var places = ConnectionPlaces(ofUser: 3, ofAll: 10)
        for _ in 0..<3 { #expect(places.take(for: 7) == true) }
        #expect(places.take(for: 7) == false)
        #expect(places.take(for: 8) == true)
        places.leave(7)
        #expect(places.take(for: 7) == true)
        #expect(places.take(for: 7) == false)
    }

    @Test("All users together have so many places")
    func ofAll() {
        var places = ConnectionPlaces(ofUser: 3, ofAll: 5)
        for user: UInt32 in [1, 1, 1, 2, 2] { #expect(places.take(for: user) == true) }
        #expect(places.take(for: 3) == false)
        places.leave(2)
        #expect(places.take(for: 3) == true)
        #expect(places.take(for: 2) == false)
    }

    @Test("Whoever has no place gives none back")
    func stranger() {
        var places = ConnectionPlaces(ofUser: 1, ofAll: 1)
        places.leave(7)
        #expect(places.take(for: 7) == true)
        places.leave(8)
        #expect(places.take(for: 8) == false)
    }
}
