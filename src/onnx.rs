//! The one ONNX Runtime of the process: hearing and speaking share it.
