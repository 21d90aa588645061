//! Arguments in, exit status out; everything else lives in the library.

fn main() -> std::process::ExitCode {
    tercet::cli::main()
}
