"""The IPP front door: our own HTTP/1.1 connection, the operations, and what the queue says about itself."""
