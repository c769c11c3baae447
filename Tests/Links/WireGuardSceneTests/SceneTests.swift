import Checkout
import Foundation
import LinkLaboratory
import Surroundings
import Testing
import WireGuardScenes

/// What is believed of WireGuard: the model does what wireguard-go does, and what the kernel does.
///
/// The kernel itself plays in `SystemTests`.
@Suite struct SceneTests {
    @Test(arguments: Scene.handshakes + Scene.moves, [Scene.Player.userspace, .kernel])
    func `the model`(scene: Scene, player: Scene.Player) {
        let result = ModelPlayer(player, scene).play(scene)
        #expect(result.meets(scene.expectation(of: player)), "\(scene): \(result)")
        // Nothing is random there: it has what makes people wait.
        if scene.isRandom {
            #expect(result.meets(.packet([.afterFour, .afterFive])) || result.meets(.handshake([.afterFive])))
        }
    }

    @Test(.needsRoot) func `wireguard-go`() throws {
        // What is random is tried four times.
        let scenes = (Scene.handshakes + Scene.moves).flatMap { [Scene](repeating: $0, count: $0.isRandom ? 4 : 1) }
        let laboratory = try LinkLaboratory()
        let file = "\(laboratory.folder)/scenes"
        try (scenes.map(\.text).joined(separator: "\n") + "\n").write(toFile: file, atomically: true, encoding: .utf8)
        let script = Checkout.file("Tests/Machines/scenes.py").path
        let output = try laboratory.shell("python3 \(script) userspace 99 <\(file)").output
        let results = output.split(separator: "\n").map { SceneResult($0) }
        #expect(results.count == scenes.count, "\(output)")
        let hasWaited = zip(scenes, results).contains { scene, result in
            guard scene.isRandom, let result else { return false }
            return !result.meets(.packet([.atOnce])) && !result.meets(.handshake([.atOnce]))
        }
        #expect(hasWaited, "no two were at the same time")
        for (scene, result) in zip(scenes, results) {
            print("figure: wireguard-go: \(scene): \(result.map(\.description) ?? "failed")")
            #expect(result?.meets(scene.expectation(of: .userspace)) == true, "\(scene): \(output)")
        }
    }
}
