"""The golden requests of src/dialect/tests, held against the request types of the vendors' own packages.

Each request that the gateway sends to Anthropic, Gemini or OpenAI has only members that the package knows, of its types.
"""

import json
import pathlib
import sys

import anthropic.types.beta
import openai.types.chat
import pydantic
import typing_extensions
from google.genai import types as gemini
from scripted import check

FOLDER = pathlib.Path(__file__).parents[2] / "src/dialect/tests"
FORBID = pydantic.ConfigDict(extra="forbid", arbitrary_types_allowed=True)


class GenerateContent(pydantic.BaseModel, alias_generator=pydantic.alias_generators.to_camel, extra="forbid"):
    """The body of `generateContent`. The package has the types of its members."""

    contents: list[gemini.Content]
    system_instruction: gemini.Content | None = None
    tools: list[gemini.Tool] | None = None
    tool_config: gemini.ToolConfig | None = None
    safety_settings: list[gemini.SafetySetting] | None = None
    generation_config: gemini.GenerationConfig | None = None
    cached_content: str | None = None


def forbid_unknown_members(package):
    """Makes the types of a package refuse members that they do not have: requests also accept types of responses."""
    for module in [module for name, module in sys.modules.items() if name.startswith(package)]:
        for kind in vars(module).values():
            if typing_extensions.is_typeddict(kind):
                kind.__pydantic_config__ = FORBID
            elif isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
                kind.model_config["extra"] = "forbid"


def requests(file):
    """Returns the golden requests of a file, with their names."""
    for case in (FOLDER / file).read_text().split("### ")[1:]:
        name, _, rest = case.partition("\n")
        sent = rest.partition("\n=> ")[2]
        if not sent.startswith("refused "):
            yield name, json.loads(sent)


def read(value):
    """Reads what pydantic validates only while it is read."""
    if isinstance(value, dict):
        value = value.values()
    if not isinstance(value, str) and hasattr(value, "__iter__"):
        for part in value:
            read(part)


def dictionary(kind):
    """Returns a check of a dictionary type."""
    adapter = pydantic.TypeAdapter(kind)
    return lambda request: read(adapter.validate_python(request))


def without(names, validate):
    """Returns a check that leaves these members out."""
    return lambda request: validate({name: value for name, value in request.items() if name not in names})


for package in ["anthropic.types", "openai.types"]:
    forbid_unknown_members(package)
# The package has only the parameters of newer models.
sampling = ["temperature", "top_p", "top_k"]
messages = without(sampling, dictionary(anthropic.types.beta.message_create_params.MessageCreateParams))
# Servers of OpenAI's dialect have it, OpenAI's own does not.
chat = without(["top_k"], dictionary(openai.types.chat.CompletionCreateParams))
files = {
    "requests.txt": messages,
    "dropped.txt": messages,
    "from_responses.txt": messages,
    "gemini_requests.txt": GenerateContent.model_validate,
    "messages_requests.txt": chat,
    "completions_requests.txt": chat,
    "completions_dropped.txt": chat,
    "from_responses_to_chat.txt": chat,
}
for file, validate in files.items():
    for name, request in requests(file):
        try:
            validate(request)
        except pydantic.ValidationError as error:
            check(f"{file}: {name}: {error}", False)
        check(f"{file}: {name}", True)
