"""What the Hub of the tests answers: one function per endpoint; each returns status, data and headers."""

from __future__ import annotations

import base64
import fnmatch
import json
import re
from urllib.parse import parse_qs, unquote

import yaml

ROUTES = []
REPO = r"(?P<name>[^/]+/[^/]+)"
LARGE = ("*.parquet", "*.png")


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status, message, code=None):
        super().__init__(message)
        headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        self.reply = status, {"error": message}, headers


def answer(call):
    """The reply to a request: the first route that fits."""
    for method, pattern, function in ROUTES:
        match = pattern.fullmatch(call.route)
        if match and (method == call.command or (method, call.command) == ("GET", "HEAD")):
            named = {key: None if value is None else unquote(value) for key, value in match.groupdict().items()}
            try:
                reply = function(call, **named)
            except Refused as error:
                return error.reply
            return reply if isinstance(reply, tuple) else (200, reply, {})
    return 404, {"error": f"the Hub of the tests has no {call.command} {call.route}"}, {}


def route(method, pattern):
    """Register an endpoint; `%` stands for the API of a dataset or model and `{x}` for a quoted part of the path."""
    pattern = pattern.replace("%", f"/api/(?:datasets|models)/{REPO}")

    def register(function):
        ROUTES.append((method, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)), function))
        return function

    return register


def repo_of(call, name, *, write=False):
    """The repository, if the token may see it or write to it."""
    role = call.hub.tokens.get(call.token) if call.token else "nobody"
    repo = call.hub.repos.get(name)
    if role is None:
        raise Refused(401, "Invalid credentials in Authorization header")
    if repo is None or (repo.private and role == "nobody"):
        raise Refused(401 if role == "nobody" else 404, "Repository not found", "RepoNotFound")
    if write and role != "write":
        raise Refused(403, "You don't have the rights to write here")
    return repo


@route("GET", "/api/whoami-v2")
def whoami(call):
    if call.token not in call.hub.tokens:
        raise Refused(401, "Invalid username or password.")
    return {"type": "user", "id": "1", "name": "tester", "orgs": [{"name": "ns"}]}


@route("POST", "/api/validate-yaml")
def validate_yaml(call):
    match = re.match(r"---\n(.*?)\n---", call.json["content"], re.DOTALL)
    try:
        good = match is not None and isinstance(yaml.safe_load(match[1]), dict)
    except yaml.YAMLError:
        good = False
    return 200 if good else 400, {"warnings": [], "errors": [] if good else [{"message": "no valid YAML"}]}, {}


@route("POST", "/api/repos/create")
def create_repo(call):
    wanted = call.json
    name = f"{wanted['organization'] or 'tester'}/{wanted['name']}"
    if call.hub.tokens.get(call.token) != "write" or name.split("/")[0] not in ("ns", "tester"):
        raise Refused(403, "You don't have the rights to create a dataset under this namespace")
    url = {"url": f"{call.base}/datasets/{name}"}
    with call.hub.lock:
        if name in call.hub.repos:
            return 409, {"error": "You already created this dataset repo", **url}, {}
        call.hub.create(name, private=wanted.get("private") or wanted.get("visibility") == "private")
    return url


@route("PUT", "%/settings")
def settings(call, name):
    repo, wanted = repo_of(call, name, write=True), call.json
    repo.gated = wanted.get("gated", repo.gated)
    return {}


@route("GET", "%(/revision/{revision})?")
def info(call, name, revision):
    repo = repo_of(call, name)
    commit = repo.resolve(revision or "main")
    files = [{"rfilename": path} for path in sorted(commit.files)]
    return {"id": name, "sha": commit.oid, "private": repo.private, "gated": repo.gated, "siblings": files, "tags": []}


@route("GET", "%/tree/{revision}(/(?P<folder>.+))?")
def tree(call, name, revision, folder):
    files = repo_of(call, name).resolve(revision).files
    start = f"{folder}/" if folder else ""
    paths = {path for path in files if path.startswith(start)}
    if not paths:
        raise Refused(404, f"{folder} does not exist", "EntryNotFound")
    paths |= {parent for path in paths for parent in folders(path) if len(parent) > len(start)}
    if call.query.get("recursive", [""])[0].lower() != "true":
        paths = {path for path in paths if "/" not in path.removeprefix(start)}
    first = int(call.query.get("cursor", ["0"])[0])
    page = [item(call, files, path) for path in sorted(paths)][first : first + call.hub.page]
    if first + call.hub.page >= len(paths):
        return page
    query = re.sub(r"&?cursor=\d+", "", call.query_text) + f"&cursor={first + call.hub.page}"
    return 200, page, {"Link": f'<{call.base}{call.route}?{query}>; rel="next"'}


@route("POST", "%/paths-info/{revision}")
def paths_info(call, name, revision):
    files = repo_of(call, name).resolve(revision).files
    existing = set(files) | {folder for path in files for folder in folders(path)}
    wanted = [path.strip("/") for path in parse_qs(call.body.decode()).get("paths", [])]
    return [item(call, files, path) for path in wanted if path in existing]


def folders(path):
    parts = path.split("/")[:-1]
    return ["/".join(parts[: i + 1]) for i in range(len(parts))]


def item(call, files, path):
    entry = files.get(path)
    if entry is None:
        return {"type": "directory", "path": path, "oid": "0" * 40}
    lfs = {"lfs": {"oid": entry.sha256, "size": entry.size, "pointerSize": 130}} if entry.large else {}
    xet = call.hub.xet_hash(entry.sha256) if entry.large else None
    return {"type": "file", "path": path, "size": entry.size, "oid": entry.oid, "xetHash": xet} | lfs


@route("GET", "%/refs")
def refs(call, name):
    repo = repo_of(call, name)
    branches = [{"name": n, "ref": f"refs/heads/{n}", "targetCommit": o} for n, o in repo.heads.items()]
    tags = [{"name": n, "ref": f"refs/tags/{n}", "targetCommit": o} for n, o in repo.tags.items()]
    return {"branches": [b for b in branches if "/" not in b["name"]], "tags": tags, "converts": []}


@route("GET", "%/commits/{revision}")
def commits(call, name, revision):
    return [
        {"id": commit.oid, "title": commit.title, "message": commit.message, "date": commit.date, "authors": []}
        for commit in repo_of(call, name).history(revision)
    ]


@route("POST", "%/branch/{branch}")
def create_branch(call, name, branch):
    repo = repo_of(call, name, write=True)
    if branch in repo.heads:
        raise Refused(409, "Reference already exists")
    repo.heads[branch] = repo.resolve(call.json.get("startingPoint", "main")).oid
    return {}


@route("POST", "%/tag/{revision}")
def create_tag(call, name, revision):
    repo, tag = repo_of(call, name, write=True), call.json["tag"]
    if tag in repo.tags:
        raise Refused(409, "Tag reference exists already")
    repo.tags[tag] = repo.resolve(revision).oid
    return {}


@route("GET", "%/discussions")
def discussions(call, name):
    found = repo_of(call, name).discussions
    return {"discussions": found, "count": len(found), "start": 0}


@route("POST", "%/discussions")
def create_discussion(call, name, wanted=None):
    repo, wanted = repo_of(call, name), wanted or call.json
    number = len(repo.discussions) + 1
    about = {"num": number, "title": wanted["title"], "status": "draft", "isPullRequest": wanted["pullRequest"]}
    about |= {"author": {"name": "tester"}, "createdAt": "2026-11-22T00:00:00.000Z"}
    repo.discussions.append(about | {"repo": {"name": name, "type": "dataset"}})
    repo.heads[f"refs/pr/{number}"] = repo.heads["main"]
    return {"num": number}


@route("GET", "%/discussions/{number}")
def discussion(call, name, number):
    about = repo_of(call, name).discussions[int(number) - 1]
    return about | {"events": [], "filesWithConflicts": [], "changes": {"base": "refs/heads/main"}, "diff": ""}


@route("POST", "%/discussions/{number}/status")
def discussion_status(call, name, number):
    about, wanted = repo_of(call, name).discussions[int(number) - 1], call.json
    about["status"] = wanted["status"]
    event = {"id": "1", "type": "status-change", "createdAt": about["createdAt"], "data": {"status": about["status"]}}
    return {"newStatus": event}


@route("POST", "%/preupload/{revision}")
def preupload(call, name, revision):
    files = repo_of(call, name, write=True).resolve(revision).files
    replies = []
    for wanted in call.json["files"]:
        path = wanted["path"]
        large = any(fnmatch.fnmatch(path, pattern) for pattern in LARGE) or wanted["size"] > 10_000_000
        large = large or b"\0" in base64.b64decode(wanted["sample"])
        known = {"oid": files[path].sha256 if files[path].large else files[path].oid} if path in files else {}
        mode = "lfs" if large else "regular"
        replies.append({"path": path, "uploadMode": mode, "shouldIgnore": False, **known})
    return {"files": replies}


@route("GET", "%/xet-(write|read)-token/{revision}")
def xet_token(call, name, revision):
    repo_of(call, name, write="write-token" in call.route)
    url = f"local://{call.hub.xet}"
    headers = {"X-Xet-Cas-Url": url, "X-Xet-Access-Token": "xet", "X-Xet-Token-Expiration": 1 << 40}
    return 200, {"casUrl": url, "exp": 1 << 40, "accessToken": "xet"}, headers


@route("POST", "%/commit/{revision}")
def commit(call, name, revision):
    repo, (head, *operations) = repo_of(call, name, write=True), map(json.loads, call.body.splitlines())
    number = None
    if call.query.get("create_pr"):
        number = create_discussion(call, name, {"title": head["value"]["summary"], "pullRequest": True})["num"]
        revision = f"refs/pr/{number}"
    with repo.lock:
        files, parent = dict(repo.resolve(revision).files), head["value"].get("parentCommit")
        if parent and repo.heads.get(revision) != parent:
            raise Refused(412, "A commit has happened since. Please refresh and try again.")
        for operation in operations:
            kind, value = operation["key"], operation["value"]
            if kind == "file":
                files[value["path"]] = call.hub.regular(base64.b64decode(value["content"]))
            elif kind == "lfsFile" and call.hub.has(value["oid"]):
                files[value["path"]] = call.hub.large(value["oid"], value["size"])
            elif kind == "deletedFile" and value["path"] in files:
                del files[value["path"]]
            else:
                raise Refused(400, f"cannot do this: {kind} of {value['path']}")
        new = repo.add_commit(revision, files, head["value"]["summary"], head["value"]["description"])
    url = f"{call.base}/datasets/{name}"
    return {
        "success": True,
        "commitOid": new.oid,
        "commitUrl": f"{url}/commit/{new.oid}",
        "pullRequestUrl": None if number is None else f"{url}/discussions/{number}",
    }


@route("POST", f"(?:/datasets)?/{REPO}\\.git/info/lfs/objects/batch")
def lfs_batch(call, name):
    repo_of(call, name, write=True)
    objects = []
    for wanted in call.json["objects"]:
        oid, size, limit = wanted["oid"], wanted["size"], call.hub.part_bytes
        upload = {"href": f"{call.base}/lfs/whole/{oid}"}
        if limit and size > limit:
            numbers = range(1, -(-size // limit) + 1)
            header = {f"{i:05d}": f"{call.base}/lfs/part/{oid}/{i:05d}" for i in numbers}
            upload = {"href": f"{call.base}/lfs/joined/{oid}", "header": {"chunk_size": str(limit), **header}}
        actions = {"upload": upload, "verify": {"href": f"{call.base}/lfs/verify"}}
        objects.append({"oid": oid, "size": size} | ({} if call.hub.has(oid) else {"actions": actions}))
    return {"objects": objects}


@route("PUT", "/lfs/whole/{oid}")
def lfs_whole(call, oid):
    return store(call, oid, call.body)


@route("PUT", "/lfs/part/{oid}/{number}")
def lfs_part(call, oid, number):
    call.hub.parts[f"{oid}/{number}"] = call.body
    return 200, b"", {"ETag": f'"{number}"'}


@route("POST", "/lfs/joined/{oid}")
def lfs_joined(call, oid):
    return store(call, oid, b"".join(call.hub.parts[f"{oid}/{part['partNumber']:05d}"] for part in call.json["parts"]))


@route("POST", "/lfs/verify")
def lfs_verify(call):
    return (200 if call.hub.has(call.json["oid"]) else 404), {}, {}


def store(call, oid, data):
    if call.hub.put(data) != oid:
        raise Refused(400, "these bytes have another sha256")
    return {}


@route("GET", f"/api/datasets/{REPO}/leaderboard")
def leaderboard(call, name):
    """Values that model repositories report in `.eval_results`, on `main` or in pull requests."""
    repo_of(call, name)
    rows = []
    for model, repo in call.hub.repos.items():
        for head in repo.heads:
            for path, entry in repo.resolve(head).files.items():
                if not path.startswith(".eval_results/"):
                    continue
                about = {"filename": path.rpartition("/")[2], "modelId": model, "verified": False}
                about |= {"author": {"type": "user", "name": "tester", "fullname": "T", "avatarUrl": ""}}
                about |= {"pullRequest": int(head.rpartition("/")[2])} if head.startswith("refs/pr/") else {}
                reported = yaml.safe_load(call.hub.content(entry))
                values = [one["value"] for one in reported if isinstance(one, dict) and one["dataset"]["id"] == name]
                rows += [about | {"value": max(values)}] if values else []
    rows.sort(key=lambda row: -row["value"])
    return [row | {"rank": rank} for rank, row in enumerate(rows, 1)]


@route("GET", f"(?:/datasets)?/{REPO}/resolve/{{revision}}/(?P<path>.+)")
def resolve(call, name, revision, path):
    repo = repo_of(call, name)
    if repo.gated and not call.token:
        raise Refused(401, "Access to this dataset is restricted", "GatedRepo")
    found = repo.resolve(revision)
    if path not in found.files:
        status, data, headers = Refused(404, "Entry not found", "EntryNotFound").reply
        return status, data, headers | {"X-Repo-Commit": found.oid}
    entry = found.files[path]
    etag = f'"{entry.sha256 if entry.large else entry.oid}"'
    headers = {"X-Repo-Commit": found.oid, "ETag": etag, "Accept-Ranges": "bytes"}
    if entry.large:
        headers |= {"X-Linked-ETag": etag, "X-Linked-Size": entry.size}
        if (xet := call.hub.xet_hash(entry.sha256)) is not None:
            auth = f"{call.base}/api/datasets/{name}/xet-read-token/{found.oid}"
            headers |= {"X-Xet-Hash": xet, "Link": f'<{auth}>; rel="xet-auth"'}
    if call.command == "HEAD":
        return 200, b"", headers | {"Content-Length": entry.size}
    data, wanted = call.hub.content(entry), re.fullmatch(r"bytes=(\d*)-(\d*)", call.headers.get("Range") or "")
    if wanted is None:
        return 200, data, headers
    first = int(wanted[1]) if wanted[1] else max(0, entry.size - int(wanted[2]))
    last = min(int(wanted[2]), entry.size - 1) if wanted[1] and wanted[2] else entry.size - 1
    if first >= entry.size:
        return 416, b"", headers | {"Content-Range": f"bytes */{entry.size}"}
    return 206, data[first : last + 1], headers | {"Content-Range": f"bytes {first}-{last}/{entry.size}"}
