//! Classic BPF: assembler, disassembler, verifier, interpreter and stock filters, in the dialects of Linux and XNU.
