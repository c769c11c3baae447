internal import CommandLineOptions
internal import Glibc
internal import NetworkAddresses
internal import SystemCalls
internal import SystemPackage
internal import Time

extension Invocation {
    /// Longest wait for an answer.
    private static let answerTime = Duration.seconds(5)
    /// Longest answer in bytes.
    private static let maximumAnswer = 64 << 20

    /// Prints what the members of one interface, or of all, say.
    func status() throws(Failure) -> Int32 {
        let form = options.contains("json") ? StatusForm.json : .table
        let interfaces: [InterfaceName]
        if operand != nil {
            interfaces = [try interface()]
        } else {
            do throws(SystemCallError) {
                interfaces = try File.names(in: files.folder).compactMap(RuntimeFiles.interface(ofSocket:))
            } catch {
                throw Failure(.system, "\(error)")
            }
            if interfaces.isEmpty { throw Failure(.unavailable, "kex-link serves no interface here") }
        }
        for (index, name) in interfaces.enumerated() {
            let answer = try ask(name, form)
            if form == .table, interfaces.count > 1 { write("\(index > 0 ? "\n" : "")\(name)\n", to: STDOUT_FILENO) }
            write(answer, to: STDOUT_FILENO)
        }
        return EXIT_SUCCESS
    }

    private func ask(_ name: InterfaceName, _ form: StatusForm) throws(Failure) -> String {
        do throws(SystemCallError) {
            let socket = try Socket.connect(toPath: files.socket(of: name), kind: .stream)
            _ = try Socket.send(Array("\(form.rawValue)\n".utf8), to: socket.raw)
            let deadline = MonotonicTime.now + Self.answerTime
            var answer: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 65536)
            while try Socket.wait(for: .readable, of: socket.raw, until: deadline) {
                switch try Socket.receive(from: socket.raw, into: &buffer) {
                case .bytes(let count): answer += buffer[..<count]
                case .nothingYet: continue
                case .end: return String(decoding: answer, as: UTF8.self)
                }
                guard answer.count <= Self.maximumAnswer else { break }
            }
        } catch {
            switch error.errno {
            case .noSuchFileOrDirectory, .connectionRefused:
                throw Failure(.unavailable, "kex-link does not serve \(name): systemctl status kex-link@\(name)")
            default: throw Failure(.unavailable, "\(error)")
            }
        }
        let reason = "is \(name) there? see systemctl status kex-link@\(name)"
        throw Failure(.unavailable, "no answer in time; \(reason)")
    }
}

/// How the state is told. The raw value is the request.
enum StatusForm: String {
    case json, table
}
