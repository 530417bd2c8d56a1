"""A sentence on each error code, for docs/errors.md; the codes themselves are found in the program."""

from typing import NamedTuple


class Meaning(NamedTuple):
    """What happened, what to do where the program's own advice does not say, and statuses it cannot be read off."""

    meaning: str
    cure: str = ""
    statuses: tuple[int, ...] = ()


_MEND = "Mend the client, or whatever stands between it and the proxy; no SDK sends such a request."

MEANINGS: dict[str, Meaning] = {
    "account_conflict": Meaning(
        "One request names things (files, stored responses, encrypted reasoning …) that belong to two different accounts."
    ),
    "ambiguous_framing": Meaning("The request does not say clearly where its body ends.", _MEND),
    "destination_forbidden": Meaning(
        "A tunnel may not lead there: this machine and its surroundings, a cloud's metadata service, this proxy itself; or"
        " tunnels are switched off.",
        "`forward.allow_private` lists networks that are wanted; `forward.tunnel` and `forward.plain_http` switch.",
    ),
    "destination_unreachable": Meaning(
        "The host a tunnel, or a request that is not ours, should go to cannot be reached.",
        "Look at the host's name, and at the network.",
        (502, 504),
    ),
    "duplicate_header": Meaning("A header that may come once came twice, such as `Authorization`.", _MEND),
    "forward_proxy_not_supported": Meaning(
        "A client uses the listener as `HTTPS_PROXY`, which `forward.enabled: false` forbids.",
        "Set `OPENAI_BASE_URL` instead.",
    ),
    "host_missing": Meaning("The request has no `Host` header.", _MEND),
    "host_not_allowed": Meaning(
        "The request's `Host` is not a name of this proxy, which is how a web page attacks a local service.",
        "Use `127.0.0.1`, or add the name to `proxy.allowed_hosts`.",
    ),
    "insufficient_quota": Meaning(
        "Every account that could serve, or the client's key, has used up its money or its limit."
    ),
    "internal_error": Meaning(
        "codex-manager itself failed; the request was not sent on as it came.",
        "See its log, and report it.",
        (500, 503),
    ),
    "invalid_api_key": Meaning("The key the client sent is not a local key of this proxy."),
    "invalid_header": Meaning("A header holds characters that HTTP does not allow.", _MEND),
    "invalid_http_request": Meaning(
        "What arrived is not an HTTP/1.1 request, or did not arrive in time.", _MEND, (400, 408, 431)
    ),
    "invalid_method": Meaning("The request's method is not a word that HTTP allows.", _MEND),
    "invalid_query": Meaning(
        "A page of the proxy's own was asked what it does not know.", "Ask as the message says.", (400,)
    ),
    "invalid_target": Meaning("The request's path is malformed, or climbs with `..`.", _MEND),
    "invalid_websocket_handshake": Meaning(
        "What asks for a WebSocket is not a handshake of version 13.", _MEND, (400, 426)
    ),
    "method_not_allowed": Meaning(
        "The method is one the proxy does not pass on, or not one of this address.", "Use GET or POST."
    ),
    "model_not_allowed": Meaning("No account, or not this client's key, may use the model."),
    "no_available_accounts": Meaning("The vault holds no account."),
    "no_usable_account": Meaning(
        "There are accounts, but all are disabled or their keys were refused; or the one account that has what the request names."
    ),
    "not_again": Meaning(
        "A request on the page's list does not go to OpenAI, so it is not sent again.",
        "Send it with the program it came from.",
        (400,),
    ),
    "not_ready": Meaning(
        "`/ready` only: no account can serve at the moment.", "`codex-manager list` shows the accounts."
    ),
    "origin_not_allowed": Meaning("The request comes from a web page.", "Call the proxy from a program."),
    "proxy_authentication_required": Meaning(
        "A client on another machine wants a tunnel and shows no local key.",
        "`HTTPS_PROXY=http://codex-manager:KEY@HOST:PORT`.",
    ),
    "rate_limit_exceeded": Meaning(
        "Every account that could serve is rate limited; the headers and the message say for how long.",
        "Wait that long (SDKs do by themselves), or add an account.",
    ),
    "request_headers_too_large": Meaning(
        "The headers are larger or more than `limits.max_header_kib` and `limits.max_headers` allow.",
        "Raise the limit, or send less.",
    ),
    "request_too_large": Meaning("The body is larger than `limits.max_body_mib` allows."),
    "server_error": Meaning(
        "codex-manager failed before it knew what was asked.", "See its log, and report it.", (500,)
    ),
    "unknown_url": Meaning("The path is not below `/v1/`.", "Use the base URL the message names."),
    "upstream_unreachable": Meaning("OpenAI could not be reached, or did not answer in time.", statuses=(502, 504)),
    "vault_locked": Meaning("The vault is locked."),
    "websocket_not_supported": Meaning(
        "The client asked for a WebSocket where there is none.",
        "`/v1/realtime` and `/v1/responses` have one, over HTTP/1.1; elsewhere use the HTTP API.",
    ),
}
