// KexGateway
