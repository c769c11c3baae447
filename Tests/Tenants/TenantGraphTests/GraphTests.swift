import TenantGraph
import TenantModel
import TenantPlan
import TenantSamples
import Testing

@Suite("The graph of a network") struct GraphTests {
    private static func graph(_ document: TenantDocument) -> Graph {
        let networks = document.resolved()
        return Graph(networks[0], Plan(networks).networks[0])
    }

    /// A quarter of them public, the others in LANs of three.
    private static func large(_ count: Int, name: (Int) -> String) -> TenantDocument {
        Farm.document(
            [Farm.exit]
                + (1..<count).map { index in
                    index % 4 == 0
                        ? Farm.publicNode(name(index), index)
                        : Farm.hiddenNode(name(index), lan: "lan\(index / 3)", index)
                }
        )
    }

    @Test("as Mermaid: solid two-way, an arrow to who is dialled, dashed through the exit, dotted over a relay")
    func mermaid() {
        var document = Farm.example
        #expect(
            Self.graph(document).mermaid == """
                flowchart TB
                    n0[["exit<br/>exit"]]
                    n1["public<br/>public"]
                    n2["cellar<br/>hidden, LAN one"]
                    n3["attic<br/>hidden, LAN two"]
                    n4["flat<br/>hidden, LAN two"]
                    n0 --- n1
                    n2 --> n0
                    n4 --> n0
                    n3 --> n0
                    n2 --> n1
                    n4 --> n1
                    n3 --> n1
                    n2 -.- n4
                    n2 -.- n3
                    n4 === n3
                    linkStyle 7 stroke-dasharray: 8 5
                    linkStyle 8 stroke-dasharray: 8 5

                """
        )
        document.networks[0].hiddenPairs = .relay
        #expect(Self.graph(document).mermaid.contains("    linkStyle 7 stroke-dasharray: 1 5\n"))
    }

    static let sizes = [2, 3, 5, 12, 30, 60]

    @Test("as a picture has no two texts that overlap, with short names and with the longest ones", arguments: sizes)
    func boxes(count: Int) {
        for length in [3, 63] {
            let document = Self.large(count) { index in
                let number = String(index)
                return "n" + String(repeating: "x", count: length - 1 - number.count) + number
            }
            let graph = Self.graph(document)
            let layout = GraphLayout(graph)
            #expect(layout.boxes.count == count)
            let all = layout.boxes + layout.legend + [layout.title]
            for (index, box) in all.enumerated() {
                #expect(box.x >= 0 && box.x + box.width <= layout.width)
                #expect(box.y >= 0 && box.y + box.height <= layout.height)
                #expect(!all[(index + 1)...].contains { $0.overlaps(box) })
            }
        }
    }

    @Test("as a picture has a line for each pair, with what tells the kinds apart")
    func picture() {
        let text = GraphSVG.text(of: Self.graph(Farm.example))
        func count(_ part: String) -> Int { text.split(separator: "\n").count { $0.contains(part) } }
        // Ten pairs, and four lines of the legend.
        #expect(count("<line ") == 14)
        #expect(count("marker-end") == 6 + 1)
        #expect(count("stroke-dasharray=\"8 5\"") == 2 + 1)
        #expect(count("stroke-width=\"3\"") == 1 + 1)
        #expect(text.hasPrefix("<svg ") && text.hasSuffix("</svg>\n"))
    }
}
