"""A right config.yaml, and what is said when a part of it is written wrongly."""
# ruff: noqa: E501 (one case a line)

SMALL = """\
providers:
  house: {kind: openai, base_url: "http://127.0.0.1:8081/v1/"}
models:
  big: {provider: house, model: some-70b}
routes:
  default: [big]
"""

# What stands in SMALL, what is written in its place, and a part of the one sentence that tells it.
MISTAKES = [
    ("kind: openai", "kind: opnai", "line 2: provider `house` has the unknown kind `opnai`; did you mean `openai`?"),
    ("kind: openai", "preset: azur", "line 2: provider `house` has the unknown preset `azur`; did you mean `azure`?"),
    ("kind: openai, ", "", "line 2: provider `house` needs a `kind` or a `preset`, and not both."),
    ("kind: openai", "kind: openai, preset: vllm", "line 2: provider `house` needs a `kind` or a `preset`, and not both."),
    ("kind: openai", "kind: openai, api_kye: x", "line 2: provider `house` has no setting `api_kye`; did you mean `api_key`?"),
    ("kind: openai", "kind: openai, rpm: many", "line 2: `rpm` of provider `house` is `many`; it must be a whole number above 0."),
    ("kind: openai", "kind: openai, rpm: 0", "line 2: `rpm` of provider `house` is `0`; it must be a whole number above 0."),
    ("kind: openai", "kind: openai, include_usage: maybe", "line 2: `include_usage` of provider `house` is `maybe`; it must be true or false."),
    ("kind: openai", "kind: openai, output_limit_field: n", "line 2: `output_limit_field` of provider `house` is `n`; it must be `max_completion_tokens` or `max_tokens`."),
    ("kind: openai", "kind: openai, api_key: [a]", "line 2: `api_key` of provider `house` must be one value."),
    ("kind: openai", "kind: openai, headers: [a]", "line 2: `headers` of provider `house` must be a mapping of names to values."),
    ("kind: openai", 'kind: openai, api_key: "${A-B}"', "line 2: `${A-B}` is not understood; write `${NAME}` or `${NAME:-default}`."),
    ("kind: openai", 'kind: openai, api_key: "${GONE}"', "line 2: the file that `GONE_FILE` names cannot be read: No such file or directory."),
    ("kind: openai", "kind: openai, timeout_s: {first: 0}", "line 2: `first` in `timeout_s` of provider `house` must be above 0."),
    ("kind: openai", "kind: openai, timeout_s: {fist: 1}", "line 2: `timeout_s` of provider `house` has no setting `fist`; did you mean `first`?"),
    ("kind: openai", "kind: openai, proxy: proxy:3128", "line 2: `proxy` of provider `house` must begin with http:// or https://."),
    ("http://127.0.0.1:8081/v1/", "127.0.0.1", "line 2: `base_url` of provider `house` must begin with http:// or https://."),
    ("http://127.0.0.1:8081/v1/", "${NOT_SET}", "line 2: provider `house` needs `base_url`."),
    ("house:", "local:", "line 2: `local` is the built-in provider; choose another name."),
    ("  big:", "  local:", "line 4: `local` is the built-in model; choose another name."),
    ("provider: house", "provider: hose", "line 4: model `big` names the unknown provider `hose`; did you mean `house`?"),
    ("provider: house, ", "", "line 4: model `big` needs `provider`."),
    (", model: some-70b", "", "line 4: model `big` needs `model`."),
    ("some-70b", "some-70b, temperature: 3", "line 4: `temperature` of model `big` is 3; it must be from 0 to 2."),
    ("some-70b", "some-70b, temperature: nan", "line 4: `temperature` of model `big` is `nan`; it must be a finite number."),
    ("some-70b", "some-70b, temprature: 1", "line 4: model `big` has no setting `temprature`; did you mean `temperature`?"),
    ("some-70b", "some-70b, prices: {inpt: 1}", "line 4: `prices` of model `big` has no setting `inpt`; did you mean `input`?"),
    ("some-70b", "some-70b, reasoning_effort: much", "line 4: `reasoning_effort` of model `big` is `much`; it must be `none`, `minimal`, `low`, `medium` or `high`."),
    ("some-70b}", "some-70b}\n  big: {provider: house, model: x}", "line 5: `models` has `big` twice; the first is in line 4."),
    ("[big]", "[bigg]", "line 6: route `default` names the unknown model `bigg`; did you mean `big`?"),
    ("[big]", "[]", "line 6: `steps` of route `default` must be a list of models."),
    ("[big]", "{total_s: 3}", "line 6: route `default` needs `steps`, a list of models."),
    ("[big]", "{steps: big}", "line 6: `steps` of route `default` must be a list of models."),
    ("[big]", "[{big: 0}]", "line 6: the weight of `big` in route `default` must be above 0."),
    ("[big]", "[{big: much}]", "line 6: the weight of `big` in route `default` is `much`; it must be a number."),
    ("[big]", "{steps: [big], total_s: 0}", "line 6: `total_s` of route `default` must be above 0."),
    ("[big]", "{steps: [big], limits: {temperature: [1, 0]}}", "line 6: the limit of `temperature` in route `default` must be two rising numbers from 0 to 2."),
    ("[big]", "{steps: [big], limits: {temperature: 1}}", "line 6: `temperature` of `limits` of route `default` must be a list of 2 values."),
    ("default:", "main:", "line 5: there is no route `default`; assistants use it unless told otherwise."),
    ("routes:", "rutes:", "line 5: the file has no setting `rutes`; did you mean `routes`?"),
    ("models:", "models: 3\nmodls:", "line 3: `models` must be a mapping of names to values."),
    ("  big:", "  [big]:", "line 4: `models` has a key that is no name."),
    ("{provider", "{{provider", "this is not YAML"),
    ("[big]", "\t[big", "this is not YAML"),
]  # fmt: skip
