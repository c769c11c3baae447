internal import NIOSSL

/// The gateway's certificate and private key.
public struct TLSIdentity: Sendable {
    let context: NIOSSLContext

    /// Reads two PEM files: the certificate with its chain, and its private key, which must match.
    public init(certificate: String, privateKey: String) throws(TLSFailure) {
        let chain: [NIOSSLCertificate]
        do {
            chain = try NIOSSLCertificate.fromPEMFile(certificate)
        } catch {
            throw TLSFailure(file: certificate, reason: "no certificates in PEM: \(error)")
        }
        let key: NIOSSLPrivateKey
        do {
            key = try NIOSSLPrivateKey(file: privateKey, format: .pem)
        } catch {
            throw TLSFailure(file: privateKey, reason: "no private key in PEM: \(error)")
        }
        let configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) },
            privateKey: .privateKey(key)
        )
        do {
            context = try NIOSSLContext(configuration: configuration)
        } catch {
            throw TLSFailure(file: certificate, reason: "does not match the private key: \(error)")
        }
    }
}

/// What is wrong with a file.
public struct TLSFailure: Error, Sendable {
    public let file: String
    public let reason: String
}
