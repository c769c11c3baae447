internal import ConfigurationFiles
internal import Glibc
internal import LinkConfiguration
internal import LinkImport
internal import SystemCalls
internal import SystemPackage

/// The commands that read a file and print.
extension Invocation {
    /// Prints a configuration as understood. The operand is a file, or an interface whose file it is.
    func check() throws(Failure) -> Int32 {
        let operand = operand ?? ""
        let path =
            operand.contains("/") || File.exists(operand)
            ? operand : "\(RuntimeFiles.configurationFolder)/\(operand).conf"
        do throws(ConfigurationError) {
            print(try LinkConfiguration(path: path))
            return EXIT_SUCCESS
        } catch {
            throw Failure(.configuration, "\(error)")
        }
    }

    /// Prints what a file of wirelink means here. What has no counterpart is told on standard error.
    func importFile() throws(Failure) -> Int32 {
        let path = operand ?? ""
        do {
            guard let bytes = try File.read(path, limit: INIFile.maximumSize)
            else { throw SystemCallError("read", path, errno: .noSuchFileOrDirectory) }
            let wanted = try WirelinkImport(bytes: bytes, path: path)
            if let interface = wanted.interface {
                print("# \(RuntimeFiles.configuration(of: interface)), made from \(path)")
            }
            print(wanted.configuration)
            for note in wanted.notes { say("\(note)") }
            return EXIT_SUCCESS
        } catch {
            throw Failure(.input, "\(error)")
        }
    }
}
