"""What a printer's SNMP tables mean (RFC 3805, RFC 2790): pure rules from recorded variables to a reading."""
