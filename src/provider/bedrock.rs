//! AWS Bedrock: chats at a method of the model.

/// Returns the path of the models, below which each has its methods.
pub(super) fn path(base: &str) -> String {
    let base = base.strip_suffix("/model").unwrap_or(base);
    format!("{base}/model")
}
