extension Graph {
    /// The graph as Mermaid has it, which draws it where Markdown is shown.
    public var mermaid: String {
        var lines = ["flowchart TB"]
        for (index, node) in nodes.enumerated() {
            // Two brackets make a box with another edge.
            let brackets = node.isExit ? ("[[", "]]") : ("[", "]")
            lines.append("    n\(index)\(brackets.0)\"\(node.name)<br/>\(node.words)\"\(brackets.1)")
        }
        for edge in edges { lines.append("    n\(edge.from) \(edge.style.mermaid) n\(edge.to)") }
        for (index, edge) in edges.enumerated() {
            guard let dashes = edge.style.dashes else { continue }
            lines.append("    linkStyle \(index) stroke-dasharray: \(dashes)")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

extension Graph.Edge.Style {
    fileprivate var mermaid: String {
        switch self {
        case .twoWay: "---"
        case .lan: "==="
        case .dials: "-->"
        case .throughExit, .relayed: "-.-"
        }
    }

    /// Lengths of lines and gaps; `nil` for a solid line.
    var dashes: String? {
        switch self {
        case .twoWay, .lan, .dials: nil
        case .throughExit: "8 5"
        case .relayed: "1 5"
        }
    }
}
