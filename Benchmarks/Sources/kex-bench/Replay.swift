import Foundation
import Glibc

// A gateway that comes to a broker with the notes of many routers.

extension Bench {
    func replay() throws {
        let count = amount(20_000, quick: 4000)
        // What another gateway left there: a note for each router that shook hands with it.
        let broker = try Broker()
        let other = try Gateway("old", backend, broker: broker)
        try other.remember(count, seed: 1)
        try other.startHandler()
        let crowd = try Crowd(seed: 1, count: count)
        let (keys, seconds) = (crowd.keys, try crowd.connect(to: other.domains[0].interfaces))
        say("\(count) routers have shaken hands in \(shortest(seconds)) s")
        try other.startMQTT()
        try broker.waitForNotes(of: count)
        other.stop()
        let reference = try Interfaces(backend)
        let batch = try fdbBatch("append", count, on: reference)
        var series = Series()
        try eachRound("a new gateway and \(count) notes") { round in
            let gateway = try Gateway("new\(round)", backend, broker: broker)
            try gateway.startHandler()
            let start = now()
            try gateway.startMQTT()
            var (peers, look) = (0, 0.0)
            while peers < count {
                guard now() < start + 120 else { throw Failure("only \(peers) of \(count) routers are in") }
                // The looks must not take up the time that is measured.
                usleep(UInt32(max(0.05, 4 * look) * 1e6))
                let before = now()
                peers = try gateway.domains[0].interfaces.peerCount()
                look = now() - before
            }
            let seconds = now() - start
            series.add("all", seconds)
            if let mqtt = gateway.mqtt { series.add("memory", mqtt.peakBytes / 1_048_576) }
            gateway.stop()
            try reference.renew()
            let configured = try addConfiguration(keys, to: reference).seconds
            let bare = configured + (try run("bridge", "-batch", batch).seconds)
            series.add("bare", bare)
            series.add("beyond", seconds - bare)
        }
        let what = "a new gateway has \(count) routers of the bus"
        add(Figure("\(what) / wg addconf + bridge -batch", series["all"], "s", to: series["bare"]))
        add(Figure("\(what): time beyond that of the reference", series["beyond"], "s", goal: .atMost(5)))
        add(Figure("kex-mqtt: most memory, \(count) notes", series["memory"], "MiB", goal: .atMost(40)))
    }
}
