"""SQL engines that answer questions over the lake's files, one file each."""
