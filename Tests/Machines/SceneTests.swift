import Testing
import WireGuardScenes

extension InVirtualMachine {
    @Suite("What is believed of WireGuard") struct SceneTests {
        // An emulated machine can do some at a time, and one of those that count packets.
        @Test(arguments: [(Scene.handshakes, 6), (Scene.moves, 1)]) func `the kernel`(scenes: [Scene], count: Int)
            throws
        {
            let machine = try VirtualMachine.prepared()
            let text = scenes.map(\.text).joined(separator: "\n")
            let output = try machine.check("python3 /share/scenes.py kernel \(count) <<'END'\n\(text)\nEND")
            let results = output.split(separator: "\n").map { SceneResult($0) }
            #expect(results.count == scenes.count, "\(output)")
            for (scene, result) in zip(scenes, results) {
                print("figure: kernel, emulated: \(scene): \(result.map(\.description) ?? "failed")")
                #expect(result?.meets(scene.expectation(of: .kernel)) == true, "\(scene): \(output)")
            }
        }
    }
}
