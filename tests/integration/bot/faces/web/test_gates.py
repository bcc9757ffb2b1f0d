import io
import re
import time
import zipfile

import pytest

from bot.faces.web.config import WebConfig
from bot.faces.web.links import export_links, picture_links
from bot.faces.web.login import COOKIE, FAILURES_MAX
from bot.studio.contract import Caller, Destination, Morphing, MorphStop
from tests.integration.bot.faces.web.test_jobs import picture

TOKEN = "correct horse battery"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "["]
)
async def test_on_loopback_a_foreign_name_is_refused_lest_dns_lets_others_in(client, host):
    answer = await client.get("/api/jobs", headers={"Host": host})
    assert answer.status == 403


@pytest.mark.parametrize("host", ["localhost:1234", "127.0.0.1", "127.0.0.9:80", "[::1]:8080"])
async def test_names_of_this_machine_are_answered(client, host):
    answer = await client.get("/api/jobs", headers={"Host": host})
    assert answer.status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none", "Origin": "https://evil.example"},
    ],
)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_another_site_can_not_make_a_browser_write(client, headers, method):
    path = "/api/jobs" if method == "POST" else "/api/jobs/zzzzzzzzzz"
    answer = await client.request(method, path, json={"text": "a fox"}, headers=headers)
    assert answer.status == 403
    assert "ATELIER_WEB__PUBLIC_URL" in (await answer.json())["error"]
    assert (await (await client.get("/api/jobs")).json())["jobs"] == []


async def test_the_page_itself_may_write(client):
    headers = {"Origin": str(client.make_url("/")).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    answer = await client.post("/api/jobs", json={"text": "a fox"}, headers=headers)
    assert answer.status == 202


async def test_the_page_may_write_through_a_proxy_that_asks_by_another_name(client):
    headers = {"Origin": "https://art.example", "Sec-Fetch-Site": "same-origin"}
    answer = await client.post("/api/jobs", json={"text": "a fox"}, headers=headers)
    assert answer.status == 202
    headers["Host"] = "evil.example"  # a name that was bound anew to this machine
    answer = await client.post("/api/jobs", json={"text": "a fox"}, headers=headers)
    assert answer.status == 403


@pytest.mark.parametrize(
    "path", ["/", "/static/studio.js", "/api/jobs", "/api/jobs/zzzzzzzzzz", "/nowhere", "/healthz"]
)
async def test_every_answer_carries_the_protecting_headers(client, path):
    answer = await client.get(path)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"


async def test_a_browser_asks_whether_the_pages_files_changed_and_is_not_sent_them_again(client):
    for path in ("/", "/static/studio.js", "/static/studio.css"):
        first = await client.get(path)
        assert first.headers["Cache-Control"] == "no-cache"
        again = await client.get(path, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status, again.headers["Cache-Control"]) == (304, "no-cache")


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py"]
)
async def test_only_static_files_are_given_away(client, path):
    from yarl import URL

    answer = await client.get(URL(path, encoded=True))
    assert answer.status in (403, 404)


async def test_unknown_paths_of_the_api_are_answered_in_json(client):
    answer = await client.get("/api/nothing")
    assert answer.status == 404
    assert (await answer.json())["error"]


class TestWithAToken:
    @pytest.fixture
    def config(self) -> WebConfig:
        return WebConfig(token=TOKEN)

    @pytest.mark.parametrize("path", ["/api/jobs", "/api/events", "/api/status", "/metrics"])
    async def test_programs_without_it_are_told_how_to_log_in(self, client, path):
        answer = await client.get(path)
        assert answer.status == 401
        assert "Authorization" in (await answer.json())["error"]

    async def test_people_without_it_are_led_to_the_door(self, client):
        answer = await client.get(
            "/gallery", headers={"Accept": "text/html"}, allow_redirects=False
        )
        assert answer.status == 303
        assert answer.headers["Location"] == "/login?to=/gallery"
        door = await client.get("/login")
        assert door.status == 200
        assert 'type="password"' in await door.text()

    @pytest.mark.parametrize("place", ["/", "/gallery", "/status", "/i/k3x9", "/i/k3x9p0ab:2"])
    async def test_a_login_leads_to_the_place_that_was_asked_for(self, client, place):
        headers = {"Accept": "text/html"}
        asked = await client.get(place, headers=headers, allow_redirects=False)
        assert asked.headers["Location"] == ("/login" if place == "/" else f"/login?to={place}")
        door = asked.headers["Location"]
        wrong = await client.post(door, data={"token": "x"}, allow_redirects=False)
        kept = "" if place == "/" else f"&to={place}"
        assert wrong.headers["Location"] == f"/login?wrong{kept}"
        door = wrong.headers["Location"]
        right = await client.post(door, data={"token": TOKEN}, allow_redirects=False)
        assert right.headers["Location"] == place

    @pytest.mark.parametrize(
        "place",
        [
            *("//evil.example", "https://evil.example/", "/\\evil.example", "/i/../api/jobs"),
            *("/i/", "/i/k3x9\n", "/gallery?x", "/api/jobs", "javascript:alert(1)", ""),
        ],
    )
    async def test_a_login_leads_to_no_place_but_those_of_the_page(self, client, place):
        answer = await client.post(
            "/login", params={"to": place}, data={"token": TOKEN}, allow_redirects=False
        )
        assert answer.headers["Location"] == "/"

    async def test_programs_send_it_in_a_header(self, client):
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert (await client.get("/api/jobs", headers=headers)).status == 200
        headers = {"Authorization": f"Bearer {TOKEN}x"}
        assert (await client.get("/api/jobs", headers=headers)).status == 401

    async def test_a_browser_gets_a_cookie_that_scripts_and_other_sites_can_not_use(self, client):
        answer = await client.post("/login", data={"token": TOKEN}, allow_redirects=False)
        cookie = answer.headers["Set-Cookie"]
        assert answer.headers["Location"] == "/"
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert TOKEN not in cookie
        assert (await client.get("/api/jobs")).status == 200

    async def test_a_forged_cookie_does_not_open_the_door(self, client):
        for value in ("", "9999999999.", "9999999999.00", "x", "9999999999." + "0" * 64):
            headers = {"Cookie": f"{COOKIE}={value}"}
            assert (await client.get("/api/jobs", headers=headers)).status == 401

    async def test_who_logs_out_is_out(self, client):
        await client.post("/login", data={"token": TOKEN})
        for _ in range(2):  # also where the session has ended already
            answer = await client.post("/logout", allow_redirects=False)
            assert answer.headers["Location"] == "/login"
            assert (await client.get("/api/jobs")).status == 401

    async def test_the_status_tells_that_one_may_log_out(self, client):
        answer = await client.get("/api/status", headers={"Authorization": f"Bearer {TOKEN}"})
        assert (await answer.json())["login"]

    @pytest.mark.parametrize("way", ["form", "header"])
    async def test_whoever_guesses_has_to_wait_and_the_owner_has_not(self, client, way):
        async def typed(token):
            door, body = "/login?to=/gallery", {"token": token}
            answer = await client.post(door, data=body, allow_redirects=False)
            return answer.headers["Location"]

        async def sent(token, path="/api/jobs"):
            return await client.get(path, headers={"Authorization": f"Bearer {token}"})

        for number in range(FAILURES_MAX):
            if way == "form":
                assert await typed(f"x{number}") == "/login?wrong&to=/gallery"
            else:
                assert (await sent(f"x{number}")).status == 401
        assert await typed("y") == "/login?wait&to=/gallery"
        for path in ("/api/jobs", "/metrics"):
            refused = await sent("y", path)
            assert refused.status == 429
            assert refused.headers["Retry-After"] == "60"
            assert "too many wrong tokens" in (await refused.json())["error"]
        assert (await client.get("/api/jobs")).status == 401, "no token is no guess"
        assert (await sent(TOKEN)).status == 200
        assert await typed(TOKEN) == "/gallery"
        assert (await client.get("/api/jobs")).status == 200

    @pytest.mark.parametrize(
        ("kind", "body"),
        [
            ("application/x-www-form-urlencoded; charset=nonsense", b"token=x"),
            ("application/x-www-form-urlencoded; charset=utf-7", b"token=+2AA-"),
            ("multipart/form-data", b"token=x"),
            ("multipart/form-data; boundary=b", b"nothing of it"),
            ("multipart/form-data; boundary=b", b"--b\r\n\r\nx\r\n--b--\r\n"),
            (
                "multipart/form-data; boundary=b",
                (
                    b'--b\r\nContent-Disposition: form-data; name="token"\r\n'
                    b"Content-Transfer-Encoding: nonsense\r\n\r\nx\r\n--b--\r\n"
                ),
            ),
            ("application/json", b'{"token": "x"}'),
        ],
    )
    async def test_a_login_that_can_not_be_read_is_a_wrong_one(self, client, kind, body):
        for place in ["/login?wrong"] * FAILURES_MAX + ["/login?wait"]:
            answer = await client.post(
                "/login", data=body, headers={"Content-Type": kind}, allow_redirects=False
            )
            assert (answer.status, answer.headers["Location"]) == (303, place)

    async def test_the_door_and_health_stay_open(self, client):
        for path in ("/healthz", "/static/studio.css", "/manifest.webmanifest"):
            assert (await client.get(path)).status == 200


class TestSignedLinks:
    @pytest.fixture
    def config(self) -> WebConfig:
        return WebConfig(token=TOKEN, public_url="http://127.0.0.1")

    @pytest.fixture
    async def image(self, client, studio):
        """A private image of somebody who is not the operator."""
        member = Caller(owner_id=77)
        (job,) = await studio.imagine(
            member, "a fox --images 1", Destination(face="web"), is_private=True
        )
        async for update in studio.watch(member, job.id):
            ended = update.job
        return ended.images[0]

    async def test_a_signed_link_shows_its_picture_without_login(self, client, config, image):
        link = picture_links(config)(image)
        answer = await client.get(link.removeprefix(config.public_url))
        assert answer.status == 200
        assert answer.content_type == "image/png"

    async def test_a_signed_link_to_a_video_plays_it_whole_and_in_parts(
        self, client, studio, config
    ):
        member = Caller(owner_id=77)
        stops = [MorphStop(upload=picture()) for _ in range(2)]
        job = await studio.morph(
            member, stops, Destination(face="web"), Morphing(frames=4, video=True)
        )
        async for update in studio.watch(member, job.id):
            job = update.job
        link = picture_links(config)(job.images[0])
        assert link.endswith(".mp4")
        path = link.removeprefix(config.public_url)
        whole = await client.get(path)
        assert (whole.status, whole.content_type) == (200, "video/mp4")
        video = await whole.read()
        part = await client.get(path, headers={"Range": "bytes=4-11"})
        assert (part.status, await part.read()) == (206, video[4:12])
        assert video[4:8] == b"ftyp"

    async def test_a_link_signed_for_another_picture_or_person_shows_nothing(
        self, client, config, image
    ):
        path = picture_links(config)(image).removeprefix(config.public_url)
        for forged in (
            path.replace("/77/", "/78/"),
            path.replace(image.id, "zzzzzzzzzz"),
            path[:-8] + "0000.png",
        ):
            assert (await client.get(forged)).status == 404

    async def test_a_signed_link_gives_a_member_all_that_is_kept_for_an_hour(
        self, client, config, image, monkeypatch
    ):
        link = export_links(config)(77)
        path = link.removeprefix(config.public_url)
        answer = await client.get(path)
        assert (answer.status, answer.content_type) == (200, "application/zip")
        with zipfile.ZipFile(io.BytesIO(await answer.read())) as archive:
            assert f"pictures/{image.id}.png" in archive.namelist()
        until = int(path.split("/")[4])
        for forged in (
            path.replace("/77/", "/78/"),
            path.replace(str(until), str(until + 1)),
            path[:-8] + "0000.zip",
        ):
            assert (await client.get(forged)).status == 404
        monkeypatch.setattr(time, "time", lambda: until + 1)
        assert (await client.get(path)).status == 404

    def test_no_links_are_made_that_nobody_could_follow(self):
        for make in (picture_links, export_links):
            assert make(WebConfig()) is None
            assert make(WebConfig(token=TOKEN)) is None


class TestBehindAProxy:
    @pytest.fixture
    def config(self) -> WebConfig:
        return WebConfig(token=TOKEN, public_url="https://art.example")

    async def test_the_public_name_is_answered_and_its_cookie_is_for_https_alone(self, client):
        headers = {"Host": "art.example", "Origin": "https://art.example"}
        answer = await client.post(
            "/login", data={"token": TOKEN}, headers=headers, allow_redirects=False
        )
        assert answer.headers["Location"] == "/"
        assert re.search(r";\s*Secure", answer.headers["Set-Cookie"])
