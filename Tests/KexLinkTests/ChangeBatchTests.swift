import Testing
import WireGuardTypes

@testable import kex_link

@Suite("Changes that are asked for together") struct ChangeBatchTests {
    private func key(_ number: Int) -> PublicKey {
        let bytes = [UInt8](repeating: 7, count: 30) + [UInt8(number >> 8 & 0xff), UInt8(number & 0xff)]
        return PublicKey(bytes: bytes.span)!
    }

    @Test("are in one list, but those of one peer that come from two pieces of work")
    func lists() {
        var batch = ChangeBatch()
        #expect(batch.take() == nil)
        #expect(batch.add([.remove(key(1)), .remove(key(1))]) == nil)
        #expect(batch.add([.remove(key(2))]) == nil)
        #expect(batch.add([.remove(key(3)), .remove(key(2))])?.map(\.publicKey) == [key(1), key(1), key(2)])
        #expect(batch.take()?.map(\.publicKey) == [key(3), key(2)])
        #expect(batch.take() == nil)
        #expect(batch.add([.remove(key(2))]) == nil)
    }

    @Test("are not more than so many")
    func limit() {
        var batch = ChangeBatch()
        for number in 0..<ChangeBatch.maximumChanges { #expect(batch.add([.remove(key(number))]) == nil) }
        #expect(batch.add([.remove(key(5000))])?.count == ChangeBatch.maximumChanges)
        #expect(batch.take()?.count == 1)
    }
}
