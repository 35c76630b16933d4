//! Archives.
/// The error of this crate that an error of the format means.
pub(crate) fn told(error: &ocm_format::error::Error) -> crate::error::Error {
    use ocm_format::error::Kind;
    let text = error.to_string();
    match error.kind() {
        Kind::Io(std::io::ErrorKind::StorageFull) => {
            crate::error::Error::io("", &std::io::Error::from(std::io::ErrorKind::StorageFull)).context(text)
        }
        Kind::Io(_) => crate::error::Error::failed(text),
        Kind::Damaged | Kind::Incomplete | Kind::NotAVolume => crate::error::Error::damaged(text),
        Kind::Missing => crate::error::Error::needed(text),
        Kind::Version | Kind::Unsupported => crate::error::Error::failed(text).hint("use a version of ocm that reads this format"),
        Kind::Limit | Kind::Usage => crate::error::Error::usage(text),
    }
}
