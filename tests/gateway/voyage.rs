//! Voyage: embeddings, with its own name of a parameter, and nothing else.

use serde_json::json;

use crate::support::{answers, gateway::Gateway, upstream::Upstream};

async fn start(upstream: &Upstream) -> Gateway {
    let yaml = format!(
        "model_list:\n- model_name: e\n  litellm_params: {{model: voyage/voyage-3.5, api_key: k, api_base: \"{}/v1\"}}\n  \
         model_info: {{id: d}}\n",
        upstream.url()
    );
    Gateway::start(&yaml).await
}

#[tokio::test]
async fn voyage_gets_embeddings_with_its_name_of_their_dimension() {
    let upstream = Upstream::with([answers::embedding()]).await;
    let gateway = start(&upstream).await;
    let body = json!({"model": "e", "input": ["x"], "dimensions": 256, "encoding_format": "base64"});
    let answer = gateway.post("/v1/embeddings", body.to_string()).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["data"][0]["embedding"][0]), (200, &json!(0.25)));
    let call = upstream.only();
    assert_eq!((&*call.target, call.header("authorization")), ("/v1/embeddings", Some("Bearer k")));
    let sent =
        json!({"model": "voyage-3.5", "input": ["x"], "output_dimension": 256, "encoding_format": "base64"});
    assert_eq!(call.json(), sent);
}

#[tokio::test]
async fn voyage_is_not_called_with_any_other_operation() {
    let upstream = Upstream::start().await;
    let gateway = start(&upstream).await;
    let messages = json!([{"role": "user", "content": "x"}]);
    for model in ["e", "d"] {
        for (path, body) in [
            ("/v1/chat/completions", json!({"messages": messages})),
            ("/v1/completions", json!({"prompt": "x"})),
            ("/v1/messages", json!({"messages": messages, "max_tokens": 9})),
            ("/v1/responses", json!({"input": "x"})),
            ("/v1/rerank", json!({"query": "x", "documents": ["x"]})),
        ] {
            let mut body = body;
            body["model"] = model.into();
            let answer = gateway.post(path, body.to_string()).await;
            let message = answer.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
            assert_eq!(answer.status, 400, "{model}: {path}: {message}");
            assert!(message.contains("call a model of another provider"), "{model}: {path}: {message}");
        }
    }
    assert_eq!(upstream.count(), 0);
}
