//! The models and deployments that the endpoints for clients and operators list: [`ModelList`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use serde::{Serialize, Serializer};

use crate::{
    config::{Config, Deployment, ModelFacts, ModelMode, RateLimits},
    provider::has_newer_limit,
    request::Client,
};

/// The names that clients may use, and the deployments behind them.
#[derive(Debug)]
pub(super) struct ModelList {
    models: Vec<Model>,
    /// The JSON list of all models.
    json: Bytes,
    deployments: Vec<ListedDeployment>,
}

/// A model, in the form of OpenAI's list with the known limits of tokens.
#[derive(Clone, Debug, Serialize)]
struct Model {
    #[serde(serialize_with = "as_text")]
    id: Arc<str>,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<ModelMode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
}

#[derive(Serialize)]
struct Models<'a> {
    data: Vec<&'a Model>,
    object: &'static str,
}

impl Model {
    /// Returns the entry of a name. The time and the owner are LiteLLM's constants: a group has no time of creation. Of
    /// the limits of its deployments the smallest is stated.
    fn of(id: &Arc<str>, deployments: &[Deployment]) -> Self {
        let smallest = |limit: fn(&ModelFacts) -> Option<u64>| {
            deployments.iter().filter_map(|deployment| limit(&deployment.info.facts)).min()
        };
        Self {
            id: Arc::clone(id),
            object: "model",
            created: 1_677_610_602,
            owned_by: "openai",
            mode: deployments.iter().find_map(|deployment| deployment.info.facts.mode),
            max_input_tokens: smallest(|facts| facts.max_input_tokens),
            max_output_tokens: smallest(|facts| facts.max_output_tokens),
        }
    }
}

impl ModelList {
    /// Returns the list of the groups and the visible aliases of a configuration.
    pub(super) fn new(config: &Config) -> Self {
        let groups: BTreeMap<_, _> = config.groups.iter().map(|group| (&group.name, group)).collect();
        let aliases: BTreeMap<_, _> =
            config.aliases.iter().map(|alias| (&alias.name, &alias.group)).collect();
        let model = |name| {
            let group = groups.get(aliases.get(name).unwrap_or(&name));
            Model::of(name, group.map(|group| &group.deployments[..]).unwrap_or_default())
        };
        let models: Vec<_> = config.visible_names().map(model).collect();
        let deployments = config.groups.iter().flat_map(|group| &group.deployments);
        Self {
            json: json(models.iter()),
            models,
            deployments: deployments.map(ListedDeployment::of).collect(),
        }
    }

    /// Returns the JSON list of the models that a client may call; of all models for the master key.
    pub(super) fn models(&self, client: Option<&Client>) -> Bytes {
        match client {
            None => self.json.clone(),
            Some(client) => json(self.models.iter().filter(|model| client.may_call(&model.id))),
        }
    }

    /// Returns a model as JSON, if a client may call it.
    pub(super) fn model(&self, name: &str, client: Option<&Client>) -> Option<Vec<u8>> {
        let is_listed =
            |model: &&Model| *model.id == *name && client.is_none_or(|client| client.may_call(name));
        let model = self.models.iter().find(is_listed)?;
        Some(serde_json::to_vec(model).unwrap_or_default())
    }

    /// Returns all deployments as JSON, in the form of LiteLLM's `/model/info`.
    pub(super) fn deployments(&self) -> Vec<u8> {
        let data: Vec<_> = self.deployments.iter().map(DeploymentInfo::of).collect();
        serde_json::to_vec(&serde_json::json!({ "data": data })).unwrap_or_default()
    }

    /// Returns the groups that a client may call as JSON, in the form of LiteLLM's `/model_group/info`.
    pub(super) fn groups(&self, client: Option<&Client>) -> Vec<u8> {
        let groups = self.deployments.chunk_by(|one, next| one.group == next.group).map(ListedGroup::of);
        let may_call =
            |group: &ListedGroup<'_>| client.is_none_or(|client| client.may_call(group.model_group));
        let data: Vec<_> = groups.filter(may_call).collect();
        serde_json::to_vec(&serde_json::json!({ "data": data })).unwrap_or_default()
    }

    /// Returns all deployments, for checks of their health.
    pub(super) fn all(&self) -> &[ListedDeployment] {
        &self.deployments
    }
}

fn as_text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

fn json<'a>(models: impl Iterator<Item = &'a Model>) -> Bytes {
    let models = Models { data: models.collect(), object: "list" };
    serde_json::to_vec(&models).unwrap_or_default().into()
}

/// The part of a deployment that is listed: no URL, no header and no credential.
#[derive(Debug)]
pub(super) struct ListedDeployment {
    pub(super) group: Arc<str>,
    pub(super) id: Arc<str>,
    vendor: &'static str,
    model: Arc<str>,
    limits: RateLimits,
    pub(super) facts: ModelFacts,
    /// `health_check_timeout`.
    pub(super) check_timeout: Option<Duration>,
    /// True if the limit of the output is `max_completion_tokens`.
    pub(super) newer_limit: bool,
}

impl ListedDeployment {
    fn of(deployment: &Deployment) -> Self {
        Self {
            group: Arc::clone(&deployment.group),
            id: Arc::clone(&deployment.id),
            vendor: deployment.target.vendor.prefix,
            model: Arc::clone(&deployment.target.model),
            limits: deployment.limits,
            facts: deployment.info.facts.clone(),
            check_timeout: deployment.info.health_check_timeout,
            newer_limit: has_newer_limit(&deployment.target),
        }
    }

    /// Returns the provider and the model, as in `litellm_params`.
    pub(super) fn model(&self) -> String {
        format!("{}/{}", self.vendor, self.model)
    }
}

#[derive(Serialize)]
struct DeploymentInfo<'a> {
    model_name: &'a str,
    litellm_params: Params,
    model_info: Info<'a>,
}

#[derive(Serialize)]
struct Params {
    model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rpm: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tpm: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_parallel_requests: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<i64>,
}

#[derive(Serialize)]
struct Info<'a> {
    id: &'a str,
    db_model: bool,
    litellm_provider: &'static str,
    mode: Option<ModelMode>,
    max_input_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
    input_cost_per_token: Option<f64>,
    output_cost_per_token: Option<f64>,
    cache_read_input_token_cost: Option<f64>,
    #[serde(flatten)]
    capabilities: BTreeMap<&'static str, bool>,
}

impl<'a> DeploymentInfo<'a> {
    fn of(deployment: &'a ListedDeployment) -> Self {
        let (limits, facts) = (deployment.limits, &deployment.facts);
        Self {
            model_name: &deployment.group,
            litellm_params: Params {
                model: deployment.model(),
                rpm: limits.rpm,
                tpm: limits.tpm,
                max_parallel_requests: limits.parallel,
                weight: limits.weight,
                order: limits.order,
            },
            model_info: Info {
                id: &deployment.id,
                db_model: false,
                litellm_provider: deployment.vendor,
                mode: facts.mode,
                max_input_tokens: facts.max_input_tokens,
                max_output_tokens: facts.max_output_tokens,
                input_cost_per_token: facts.prices.input,
                output_cost_per_token: facts.prices.output,
                cache_read_input_token_cost: facts.prices.cached,
                capabilities: facts.capabilities.names().map(|name| (name, true)).collect(),
            },
        }
    }
}

/// A group, in the form of LiteLLM's `/model_group/info`: of the limits of its deployments the sum, of all else the largest.
#[derive(Serialize)]
struct ListedGroup<'a> {
    model_group: &'a str,
    providers: BTreeSet<&'static str>,
    mode: Option<ModelMode>,
    max_input_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
    input_cost_per_token: Option<f64>,
    output_cost_per_token: Option<f64>,
    tpm: Option<u64>,
    rpm: Option<u64>,
    #[serde(flatten)]
    capabilities: BTreeMap<&'static str, bool>,
}

impl<'a> ListedGroup<'a> {
    fn of(deployments: &'a [ListedDeployment]) -> Self {
        let facts = || deployments.iter().map(|deployment| &deployment.facts);
        let price = |price: fn(&ModelFacts) -> Option<f64>| facts().filter_map(price).reduce(f64::max);
        // A deployment without a limit makes the sum meaningless.
        let sum = |limit: fn(&RateLimits) -> Option<u64>| {
            deployments.iter().map(|deployment| limit(&deployment.limits)).sum::<Option<u64>>()
        };
        Self {
            model_group: deployments.first().map(|first| &*first.group).unwrap_or_default(),
            providers: deployments.iter().map(|deployment| deployment.vendor).collect(),
            mode: facts().find_map(|facts| facts.mode),
            max_input_tokens: facts().filter_map(|facts| facts.max_input_tokens).max(),
            max_output_tokens: facts().filter_map(|facts| facts.max_output_tokens).max(),
            input_cost_per_token: price(|facts| facts.prices.input),
            output_cost_per_token: price(|facts| facts.prices.output),
            tpm: sum(|limits| limits.tpm),
            rpm: sum(|limits| limits.rpm),
            capabilities: facts()
                .flat_map(|facts| facts.capabilities.names())
                .map(|name| (name, true))
                .collect(),
        }
    }
}
