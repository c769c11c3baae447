internal import TenantModel

/// A graph as a picture.
public struct GraphSVG: Sendable {
    /// Width of a sample line in the legend, with the space behind it.
    static let sample = 60

    private let graph: Graph
    private let layout: GraphLayout
    private var lines: [String] = []

    private init(_ graph: Graph) {
        self.graph = graph
        layout = GraphLayout(graph)
    }

    /// The text of the picture.
    public static func text(of graph: Graph) -> String {
        var picture = GraphSVG(graph)
        picture.draw()
        return picture.lines.joined(separator: "\n") + "\n"
    }

    private mutating func draw() {
        lines.append(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"\(layout.width)\" height=\"\(layout.height)\" "
                + "viewBox=\"0 0 \(layout.width) \(layout.height)\" font-family=\"monospace\" "
                + "font-size=\"\(GraphLayout.fontSize)\">"
        )
        lines.append("<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>")
        lines.append(
            "<defs><marker id=\"arrow\" viewBox=\"0 0 10 10\" refX=\"10\" refY=\"5\" markerWidth=\"9\" "
                + "markerHeight=\"9\" orient=\"auto\"><path d=\"M0,0 L10,5 L0,10 z\" fill=\"#1f4e79\"/></marker></defs>"
        )
        text(
            graph.name.text,
            at: (layout.title.x, layout.title.y + GraphLayout.lineHeight),
            in: layout.title.width,
            "font-weight=\"bold\" font-size=\"16\""
        )
        // What passes through others is behind what is direct.
        for style in Graph.Edge.Style.allCases.reversed() {
            for edge in graph.edges where edge.style == style { draw(edge) }
        }
        for (node, box) in zip(graph.nodes, layout.boxes) { draw(node, box) }
        for (style, box) in zip(graph.styles, layout.legend) {
            let middle = box.y + box.height / 2
            line(style, (box.x, middle), (box.x + Self.sample - 12, middle))
            text(
                style.words,
                at: (box.x + Self.sample, box.y + GraphLayout.fontSize),
                in: box.width - Self.sample,
                ""
            )
        }
        lines.append("</svg>")
    }

    /// Text with a width of its own: whatever the font, it fills its box and no more.
    private mutating func text(_ text: String, at place: (x: Int, y: Int), in width: Int, _ attributes: String) {
        let length = "textLength=\"\(width)\" lengthAdjust=\"spacingAndGlyphs\""
        lines.append("<text x=\"\(place.x)\" y=\"\(place.y)\" \(length) \(attributes)>\(text)</text>")
    }

    private mutating func draw(_ edge: Graph.Edge) {
        let from = layout.boxes[edge.from]
        let to = layout.boxes[edge.to]
        line(edge.style, Self.border(of: from, towards: to.center), Self.border(of: to, towards: from.center))
    }

    private mutating func line(_ style: Graph.Edge.Style, _ from: (x: Int, y: Int), _ to: (x: Int, y: Int)) {
        let colour: String
        switch style {
        case .twoWay, .lan, .dials: colour = "#1f4e79"
        case .throughExit: colour = "#b45f06"
        case .relayed: colour = "#38761d"
        }
        let dashes = style.dashes.map { " stroke-dasharray=\"\($0)\" stroke-linecap=\"round\"" } ?? ""
        // There are as many of these as pairs of hidden ones, so they stay in the background.
        let opacity = style == .throughExit ? " stroke-opacity=\"0.6\"" : ""
        let arrow = style == .dials ? " marker-end=\"url(#arrow)\"" : ""
        let width = style == .lan ? "3" : style == .relayed ? "2" : "1.3"
        lines.append(
            "<line x1=\"\(from.x)\" y1=\"\(from.y)\" x2=\"\(to.x)\" y2=\"\(to.y)\" stroke=\"\(colour)\" "
                + "stroke-width=\"\(width)\"\(dashes)\(opacity)\(arrow)/>"
        )
    }

    /// Where a line from the middle of a box leaves it.
    private static func border(of box: GraphLayout.Box, towards point: (x: Int, y: Int)) -> (x: Int, y: Int) {
        let center = box.center
        let x = Double(point.x - center.x)
        let y = Double(point.y - center.y)
        guard x != 0 || y != 0 else { return center }
        let scale = min(
            x == 0 ? .infinity : Double(box.width) / 2 / abs(x),
            y == 0 ? .infinity : Double(box.height) / 2 / abs(y)
        )
        return (center.x + Int((x * scale).rounded()), center.y + Int((y * scale).rounded()))
    }

    private mutating func draw(_ node: Graph.Node, _ box: GraphLayout.Box) {
        lines.append(
            "<rect x=\"\(box.x)\" y=\"\(box.y)\" width=\"\(box.width)\" height=\"\(box.height)\" rx=\"5\" "
                + "fill=\"\(node.isExit ? "#fff2cc" : "#eef4fb")\" stroke=\"#1f4e79\" "
                + "stroke-width=\"\(node.isExit ? 2 : 1)\"/>"
        )
        for (index, words) in [node.name.text, node.words].enumerated() {
            let width = words.count * GraphLayout.letterWidth
            text(
                words,
                at: (box.center.x - width / 2, box.y + 17 + index * GraphLayout.lineHeight),
                in: width,
                index == 0 ? "font-weight=\"bold\"" : "fill=\"#555555\""
            )
        }
    }
}
