internal import Glibc
internal import TenantModel

/// Where the boxes of a graph stand: around an ellipse that is as small as it can be without two of them touching.
public struct GraphLayout: Hashable, Sendable {
    /// In pixels, from the top left corner.
    public struct Box: Hashable, Sendable {
        public var x, y, width, height: Int

        public func overlaps(_ other: Box) -> Bool {
            x < other.x + other.width && other.x < x + width && y < other.y + other.height && other.y < y + height
        }

        var center: (x: Int, y: Int) { (x + width / 2, y + height / 2) }

        /// With room around it.
        func widened(by gap: Int) -> Box {
            Box(x: x - gap, y: y - gap, width: width + 2 * gap, height: height + 2 * gap)
        }
    }

    /// Size of letters in pixels. All letters of the font are as wide, so the boxes are right whatever the font is.
    public static let fontSize = 13
    static let letterWidth = 8
    static let lineHeight = 17
    static let gap = 12
    static let margin = 20

    /// Of the nodes, in their order.
    public private(set) var boxes: [Box] = []
    public private(set) var title: Box
    /// One line for each style that occurs.
    public private(set) var legend: [Box] = []
    public private(set) var width = 0
    public private(set) var height = 0

    public init(_ graph: Graph) {
        let sizes = graph.nodes.map { node in
            let letters = max(node.name.text.count, node.words.count)
            return (width: letters * Self.letterWidth + 16, height: 2 * Self.lineHeight + 10)
        }
        title = Box(
            x: Self.margin,
            y: Self.margin,
            width: graph.name.text.count * (Self.letterWidth + 2),
            height: Self.lineHeight + 6
        )
        var radius = 100.0
        repeat {
            boxes = Self.around(radius, sizes)
            radius *= 1.1
        } while Self.touch(boxes)
        moveUnderTitle()
        addLegend(graph)
    }

    private static func around(_ radius: Double, _ sizes: [(width: Int, height: Int)]) -> [Box] {
        guard sizes.count > 1 else { return sizes.map { Box(x: 0, y: 0, width: $0.width, height: $0.height) } }
        return sizes.enumerated().map { index, size in
            let angle = 2 * Double.pi * Double(index) / Double(sizes.count)
            // Boxes are wider than high, and so is the ellipse.
            let x = Int((1.6 * radius * sin(angle)).rounded())
            let y = Int((-radius * cos(angle)).rounded())
            return Box(x: x - size.width / 2, y: y - size.height / 2, width: size.width, height: size.height)
        }
    }

    private static func touch(_ boxes: [Box]) -> Bool {
        boxes.indices.contains { index in
            let box = boxes[index].widened(by: gap)
            return boxes[(index + 1)...].contains { $0.overlaps(box) }
        }
    }

    private mutating func moveUnderTitle() {
        let left = boxes.map(\.x).min() ?? 0
        let top = boxes.map(\.y).min() ?? 0
        for index in boxes.indices {
            boxes[index].x += Self.margin - left
            boxes[index].y += title.y + title.height + Self.gap - top
        }
    }

    private mutating func addLegend(_ graph: Graph) {
        var y = (boxes.map { $0.y + $0.height }.max() ?? title.y + title.height) + 2 * Self.gap
        for style in graph.styles {
            let width = GraphSVG.sample + style.words.count * Self.letterWidth
            legend.append(Box(x: Self.margin, y: y, width: width, height: Self.lineHeight))
            y += Self.lineHeight + 3
        }
        let everything = boxes + legend + [title]
        width = (everything.map { $0.x + $0.width }.max() ?? 0) + Self.margin
        height = y + Self.margin
    }
}

extension Graph {
    /// Those that occur.
    var styles: [Edge.Style] {
        let used = Set(edges.map(\.style))
        return Edge.Style.allCases.filter(used.contains)
    }
}
