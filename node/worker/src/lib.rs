//! Coding, decoding and previews in a child of the same binary, with memory and time limits.
//!
//! A modality's file may be made to kill the program that reads it; what dies must be a child, never the node that
//! holds every other patient's Study.
