//! Refusals that are about the set-up of one deployment: another one is asked, also one of the next `order`.

use crate::support::{
    answers,
    case::{Asked, Case},
    reply::Reply,
};

fn html(status: u16) -> Reply {
    Reply::bytes(status, "text/html", "<html><body>no</body></html>")
}

/// Asks a group of which `a` always responds with `reply`, and `b` has the next order.
async fn asked(reply: Reply) -> Asked {
    let case = Case::of("m: a b").params("a", "order: 1").params("b", "order: 2").always("a", reply);
    case.settings("num_retries: 1").ask().await
}

#[tokio::test]
async fn a_refusal_of_the_set_up_is_tried_at_the_next_order() {
    for status in [401, 403, 404, 405, 406, 407, 410, 411, 412, 414, 415, 417, 421, 426, 431, 451, 495, 497] {
        for reply in [html(status), answers::error(status, "error", None, "no")] {
            asked(reply).await.answered_by("b").calls("a:1 b:1");
        }
    }
    let network = r#"{"error":{"code":"403","message":"Public access is disabled. Please configure private endpoint."}}"#;
    let firewall = r#"{"error":{"code":"AccessDenied","message":"Access denied due to Virtual Network/Firewall rules."}}"#;
    let region = r#"{"error":{"code":"unsupported_country_region_territory","message":"Country, region, or territory not supported","type":"request_forbidden"}}"#;
    for body in [network, firewall, region] {
        asked(Reply::bytes(403, "application/json", body)).await.answered_by("b").calls("a:1 b:1");
    }
}

#[tokio::test]
async fn a_refusal_of_the_request_is_not_tried_again() {
    for status in [400, 413, 422, 423, 428] {
        let reply = answers::error(status, "invalid_request_error", None, "the 'messages' are wrong");
        asked(reply).await.status(status).calls("a:1 b:0");
    }
}
