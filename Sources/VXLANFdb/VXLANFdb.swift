// VXLANFdb
