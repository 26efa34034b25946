"""The outages: a provider that keeps to its script on the wire, and verdicts that miss no check."""

from __future__ import annotations

import http.client
import importlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import outages
import outages_run
import pytest
import scenarios
from harness import main
from outages import Outcome
from scenarios import (
    ANSWER,
    EVERYWHERE,
    FALLBACK,
    FALLBACK_TOKENS,
    FAST,
    FINISHED,
    LARGER,
    PRIMARY,
    REFUSED_CONTENT,
    SCENARIOS,
    WORDS,
    Attempt,
    Check,
    Observation,
    Reply,
    Verdict,
)

from support.faulty_provider import CLOSED, FAULTS, REFUSED, RESET, SILENT, UNRESOLVABLE, Fault
from support.scripted_provider import (
    HEALTHY_STREAM,
    PREFILL_REFUSAL,
    ScriptedProvider,
    Step,
    Stream,
    rejection,
)

litellm: Any = importlib.import_module("litellm")

CLIENT_DEADLINE = 10.0
"""Seconds after which a client gives up; only a broken provider reaches it."""

BY_ID = {scenario.id: scenario for scenario in SCENARIOS}


class Client:
    """One streaming request over a plain HTTP client, so that what is on the wire is seen as it is."""

    def __init__(self, provider: ScriptedProvider, *said: str, timeout: float = CLIENT_DEADLINE, **body: Any) -> None:
        messages = [{"role": "user", "content": "ping"}, *({"role": "assistant", "content": text} for text in said)]
        self.connection = http.client.HTTPConnection("127.0.0.1", provider.port, timeout=timeout)
        self.begun = time.monotonic()
        request = {"model": "m", "messages": messages, "stream": True, **body}
        self.connection.request("POST", "/v1/chat/completions", json.dumps(request))
        self.response = self.connection.getresponse()

    def events(self) -> Iterator[str]:
        """The data of each event as it comes. Raises what the connection raises where the body has no end."""
        while line := self.response.readline():
            if line.startswith(b"data: "):
                yield line[len("data: ") :].decode().strip()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.response.close()
        self.connection.close()


def words(event: str) -> str:
    choices = json.loads(event)["choices"]
    return choices[0]["delta"].get("content", "") if choices else ""


def answer_of(provider: ScriptedProvider, *said: str) -> str:
    with Client(provider, *said) as client:
        return "".join(words(event) for event in client.events() if event != "[DONE]")


def status_of(provider: ScriptedProvider, *said: str) -> tuple[int, Any]:
    with Client(provider, *said) as client:
        return client.response.status, json.loads(client.response.read())["error"]


class TestScriptedProvider:
    def test_healthy_stream(self) -> None:
        """A healthy stream has the role, every word, the end, the usage that was asked for, and [DONE]."""
        with (
            ScriptedProvider([HEALTHY_STREAM], answer=ANSWER, prompt_tokens=7) as provider,
            Client(provider, stream_options={"include_usage": True}) as client,
        ):
            *chunks, end = client.events()
        assert len(chunks) == WORDS + 3
        assert "".join(map(words, chunks)) == ANSWER
        assert json.loads(chunks[-2])["choices"][0]["finish_reason"] == "stop"
        assert json.loads(chunks[-1])["usage"] == {
            "prompt_tokens": 7,
            "completion_tokens": WORDS,
            "total_tokens": WORDS + 7,
        }
        assert end == "[DONE]"
        assert (provider.attempts, provider.answered) == (1, 1)

    def test_requests_meet_the_steps_in_turn(self) -> None:
        """Requests meet the steps in turn, and each arrival is noted with its step and its time."""
        script: list[Step] = [FAULTS["500"], HEALTHY_STREAM]
        with ScriptedProvider(script, answer="pong") as provider:
            before = time.monotonic()
            assert status_of(provider)[0] == 500
            assert [answer_of(provider), answer_of(provider)] == ["pong", "pong"]
            after = time.monotonic()
            times = [arrival.at for arrival in provider.arrivals]
        assert [arrival.step for arrival in provider.arrivals] == [*script, HEALTHY_STREAM]
        assert sorted([before, *times, after]) == [before, *times, after]

    def test_new_script(self) -> None:
        """A script begins with the next request after play() has returned."""
        with ScriptedProvider([FAULTS["503"]], answer="pong") as provider:
            assert status_of(provider)[0] == 503
            provider.play([FAULTS["429"], HEALTHY_STREAM])
            assert (status_of(provider)[0], answer_of(provider)) == (429, "pong")

    def test_cut(self) -> None:
        """The words before the cut arrive, and a body without an end."""
        with (
            ScriptedProvider([Stream(cut_after=40)], answer=ANSWER) as provider,
            Client(provider) as client,
            pytest.raises(http.client.IncompleteRead) as broken,
        ):
            client.response.read()
        events = broken.value.partial.decode().split("data: ")[1:]
        assert "".join(map(words, events)) == " ".join(ANSWER.split()[:40])
        assert provider.answered == 0

    def test_late_first_word(self) -> None:
        """The first word does not come before its time; the headers do not wait for it."""
        with ScriptedProvider([Stream(first_after=0.2), Stream(first_after=600)], answer="pong") as provider:
            with Client(provider) as client:
                next(client.events())
                assert time.monotonic() - client.begun >= 0.2
            with Client(provider) as client:
                assert client.response.status == 200

    def test_stall(self) -> None:
        """A stalled stream goes on to the end when its time has passed."""
        with (
            ScriptedProvider([Stream(stall_after=2, stall=0.2)], answer="a b c") as provider,
            Client(provider) as client,
        ):
            *chunks, end = client.events()
            assert time.monotonic() - client.begun >= 0.2
        assert ("".join(map(words, chunks)), end) == ("a b c", "[DONE]")

    def test_client_that_leaves_a_stall(self) -> None:
        """A client that does not wait for a stall to end gets the words before it and leaves no answer behind."""
        with ScriptedProvider([Stream(stall_after=2, stall=600)], answer="a b c") as provider:
            heard: list[str] = []
            with Client(provider, timeout=1.0) as client, pytest.raises(TimeoutError):
                heard.extend(map(words, client.events()))
        assert "".join(heard) == "a b"
        assert provider.answered == 0

    def test_garbled_chunk(self) -> None:
        """The tenth chunk is not JSON; without it nothing is missing."""
        with (
            ScriptedProvider([Stream(garbled_chunk=10)], answer=ANSWER) as provider,
            Client(provider) as client,
        ):
            events = list(client.events())[:-1]
        with pytest.raises(json.JSONDecodeError):
            json.loads(events.pop(9))
        assert "".join(map(words, events)) == ANSWER

    def test_no_done(self) -> None:
        """The body ends as it should, only without [DONE]."""
        with ScriptedProvider([Stream(done=False)], answer="pong") as provider, Client(provider) as client:
            events = list(client.events())
        assert json.loads(events[-1])["choices"][0]["finish_reason"] == "stop"

    def test_rejection(self) -> None:
        """A rejected request is told its code and why."""
        with ScriptedProvider([rejection("context_length_exceeded", "too long")], answer="pong") as provider:
            status, error = status_of(provider)
        assert (status, error["code"], error["message"]) == (400, "context_length_exceeded", "too long")

    @pytest.mark.parametrize(
        ("step", "error"),
        [(RESET, ConnectionResetError), (CLOSED, http.client.RemoteDisconnected), (SILENT, TimeoutError)],
    )
    def test_no_answer(self, step: Step, error: type[Exception]) -> None:
        """A connection is reset, closed or ignored as the step says, and only that one."""
        with ScriptedProvider([step, HEALTHY_STREAM], answer="pong") as provider:
            with pytest.raises(error):
                Client(provider, timeout=0.2 if step == SILENT else CLIENT_DEADLINE)
            assert answer_of(provider) == "pong"

    def test_prefill(self) -> None:
        """An answer begun by the caller is continued; one that begins otherwise is given as a whole."""
        with ScriptedProvider([HEALTHY_STREAM], answer="a b c") as provider:
            assert [answer_of(provider, said) for said in ("a", "a b", "x")] == [" b c", " c", "a b c"]
            assert answer_of(provider) == "a b c"
        assert [arrival.prefilled for arrival in provider.arrivals] == [True, True, True, False]

    def test_prefill_refused(self) -> None:
        """A provider that takes no prefill says so, and answers the same request without it."""
        with ScriptedProvider([HEALTHY_STREAM], answer="pong", take_prefill=False) as provider:
            status, error = status_of(provider, "po")
            assert (status, error["message"]) == (400, PREFILL_REFUSAL)
            assert answer_of(provider) == "pong"

    def test_only_streams(self) -> None:
        """A request that is not for a stream is refused and is no arrival."""
        with ScriptedProvider([HEALTHY_STREAM], answer="pong") as provider:
            with Client(provider, stream=False) as client:
                assert client.response.status == 400
            assert provider.arrivals == []

    @pytest.mark.parametrize(
        "script", [[], [REFUSED], [HEALTHY_STREAM, UNRESOLVABLE], [Fault(FAULTS["truncated"].kind)]]
    )
    def test_script_it_cannot_play(self, script: list[Step]) -> None:
        """An empty script, or a fault of the port or the host name, is refused before anything listens."""
        with pytest.raises(ValueError, match="a script is one or more streams and faults of the kinds answer, reset"):
            ScriptedProvider(script, answer="pong")

    async def test_litellm_reads_it(self) -> None:
        """litellm gets the answer, its end and its usage."""
        with ScriptedProvider([HEALTHY_STREAM], answer=ANSWER, prompt_tokens=7) as provider:
            stream = await litellm.acompletion(
                model="openai/m",
                api_base=f"{provider.url}/v1",
                api_key="sk-test",
                messages=[{"role": "user", "content": "ping"}],
                stream=True,
                stream_options={"include_usage": True},
            )
            chunks = [chunk async for chunk in stream]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == ANSWER
        assert chunks[-1].usage.prompt_tokens == 7

    def test_scaled(self) -> None:
        """Times are scaled, positions are not."""
        stream = Stream(first_after=20, stall_after=20, stall=30, garbled_chunk=10)
        assert stream.scaled(0.1) == replace(stream, first_after=2.0, stall=3.0)


REPLY = Reply(
    begun=0.0,
    ended=0.2,
    first_word=0.05,
    text=ANSWER,
    finish_reason="stop",
    models=(FALLBACK,),
    prompt_tokens=FALLBACK_TOKENS,
    completion_tokens=WORDS,
)
BROKEN = replace(REPLY, text="word1 word2", finish_reason=None, error="APIConnectionError", message="the stream broke")
REASONED = Reply(begun=0.0, ended=0.1, error="BadRequestError", message=f"400: {REFUSED_CONTENT}")


def on_primary(*times: float, faulty: bool = True) -> tuple[Attempt, ...]:
    return tuple(Attempt(at, PRIMARY, prefilled=False, faulty=faulty) for at in times)


def on_fallback(*times: float, model: str = FALLBACK) -> tuple[Attempt, ...]:
    return tuple(Attempt(at, model, prefilled=False, faulty=False) for at in times)


def seen(name: str, *replies: Reply, **more: Any) -> Observation:
    attempts = {"primary": on_primary(0.01), "fallback": on_fallback(0.02)}
    return Observation(name, FAST, own_time=0.15, replies=replies or (REPLY,), **{**attempts, **more})


OUTAGE_ENDS = seen(
    "S15",
    *(replace(REPLY, begun=0.4 * n, ended=0.4 * n + 0.2, first_word=0.4 * n + 0.1) for n in range(20)),
    primary=on_primary(*(0.8 * n for n in range(8))) + on_primary(6.4, 6.8, 7.2, 7.6, faulty=False),
    fallback=on_fallback(*(0.4 * n + 0.01 for n in range(16))),
    healed=6.0,
)

BEST: dict[str, Observation] = {
    **{name: seen(name) for name in BY_ID},
    "S09": seen("S09", afterwards=REPLY),
    "S12": seen("S12", replace(REPLY, models=(LARGER,)), fallback=on_fallback(0.02, model=LARGER)),
    "S13": seen("S13", REASONED, fallback=()),
    "S15": OUTAGE_ENDS,
}
"""Each outage as a router at its best gets through it."""

FAIL, SAFE, PARTIAL, PASS = Verdict


def with_reply(name: str, **changes: Any) -> Observation:
    """The best of `name`, its first reply changed."""
    first, *others = BEST[name].replies
    return replace(BEST[name], replies=(replace(first, **changes), *others))


SPOILED: list[tuple[Observation, Verdict, Check]] = [
    (with_reply("S08", hung=True), FAIL, scenarios.NO_HANG),
    (with_reply("S08", text="word1 word2"), FAIL, scenarios.NO_FALSE_SUCCESS),
    (with_reply("S08", text=f"{ANSWER} {ANSWER}"), FAIL, scenarios.NO_FALSE_SUCCESS),
    (with_reply("S08", text="", error="KeyError", clean=False), FAIL, scenarios.CLEAN),
    (seen("S08", BROKEN), SAFE, scenarios.RESCUED),
    (with_reply("S08", finish_reason=None), PARTIAL, scenarios.FINISHED),
    (seen("S04", primary=on_primary(0.0, 0.1, 0.2, 0.3)), FAIL, scenarios.BUDGET),
    (seen("S01", primary=on_primary(0.0, 1.7)), FAIL, scenarios.WAITED_OR_LEFT),
    (seen("S02", primary=on_primary(0.0, 0.7, 1.4, 2.1, 2.9)), FAIL, scenarios.NO_STORM),
    (seen("S03", primary=on_primary(0.0, 0.1)), PARTIAL, scenarios.ONE_RETRY),
    (seen("S06", primary=on_primary(0.0, 3.0)), PARTIAL, scenarios.ONE_ATTEMPT),
    (with_reply("S07", first_word=1.6), PARTIAL, scenarios.FIRST_WORD),
    (seen("S09"), FAIL, scenarios.AFTERWARDS),
    (seen("S09", BROKEN, afterwards=BROKEN), FAIL, scenarios.AFTERWARDS),
    (seen("S09", afterwards=replace(REPLY, hung=True)), FAIL, scenarios.AFTERWARDS),
    (with_reply("S11", ended=1.2), FAIL, scenarios.PROMPT),
    (with_reply("S11", completion_tokens=None), PARTIAL, scenarios.USAGE),
    (replace(BEST["S12"], fallback=on_fallback(0.02)), PARTIAL, scenarios.LARGER_MODEL),
    (seen("S13"), PARTIAL, scenarios.REASON),
    (seen("S13", BROKEN), SAFE, scenarios.DECIDED),
    (seen("S14", replace(BROKEN, message=f"400: {PREFILL_REFUSAL}")), FAIL, scenarios.NO_PREFILL_REFUSAL),
    (replace(OUTAGE_ENDS, primary=on_primary(0.0)), PARTIAL, scenarios.BACK),
    (replace(OUTAGE_ENDS, primary=on_primary(9.1, faulty=False)), PARTIAL, scenarios.BACK),
    (with_reply("S15", text="", error="ServiceUnavailableError"), SAFE, scenarios.RESCUED),
    (with_reply("S16", models=(PRIMARY, FALLBACK)), FAIL, scenarios.NAMED),
    (with_reply("S16", prompt_tokens=11), FAIL, scenarios.OWN_USAGE),
]
"""Each with the verdict on it and the check that it misses."""

UNKEPT: list[tuple[Observation, Check]] = [
    (seen("S02", BROKEN), scenarios.RESCUED),
    (seen("S04", primary=on_primary(0.0, 0.1, 0.2)), scenarios.TWO_ATTEMPTS),
    (seen("S16", primary=on_primary(0.0, 0.53)), scenarios.NO_BACK_OFF),
    (seen("S02", fallback=on_fallback(0.52)), scenarios.NO_BACK_OFF),
    (seen("S06", primary=on_primary(0.0, 3.0)), scenarios.ONE_TIMEOUT),
    (with_reply("S06", ended=3.0), scenarios.ONE_TIMEOUT),
    (with_reply("S07", first_word=1.6), scenarios.FIRST_WORD),
    (seen("S13"), scenarios.REASON),
    (replace(OUTAGE_ENDS, primary=on_primary(0.0, 0.49)), scenarios.ONE_PER_COOLDOWN),
    (with_reply("S15", ended=1.16), scenarios.PROMPT),
]
"""Each with a promise of this branch that it breaks."""


class TestVerdict:
    @pytest.mark.parametrize("name", BY_ID)
    def test_best(self, name: str) -> None:
        """Nothing is missed by a router at its best, and every promise kept."""
        scenario = BY_ID[name]
        assert scenario.verdict(BEST[name]) is PASS
        assert scenario.misses(BEST[name]) == scenarios.missed(scenario.promised, BEST[name]) == []

    @pytest.mark.parametrize(("observation", "verdict", "check"), SPOILED)
    def test_spoiled(self, observation: Observation, verdict: Verdict, check: Check) -> None:
        """One thing that goes wrong is found by its check and lowers the verdict as far as it should."""
        scenario = BY_ID[observation.scenario]
        assert check.words in scenario.misses(observation)
        assert scenario.verdict(observation) is verdict

    @pytest.mark.parametrize(("observation", "check"), UNKEPT)
    def test_broken_promise(self, observation: Observation, check: Check) -> None:
        """A promise that is not kept is a complaint, whatever the verdict."""
        scenario = BY_ID[observation.scenario]
        assert f"not kept: {check.words}" in Outcome(scenario, stock=observation, patched=observation).complaints

    def test_every_check_can_be_missed(self) -> None:
        """No check of the table holds for everything."""
        judged = {check for s in SCENARIOS for check in (*s.required, s.rescued, *s.advisory)}
        assert judged | {*EVERYWHERE, FINISHED} == {check for _, _, check in SPOILED}
        assert {check for s in SCENARIOS for check in s.promised} == {check for _, check in UNKEPT}

    def test_error_needs_no_labels(self) -> None:
        """A clean error names no model and has no usage, and is safe all the same."""
        error = Reply(begun=0.0, ended=0.1, error="ServiceUnavailableError", message="503")
        assert {BY_ID[name].verdict(seen(name, error, afterwards=REPLY)) for name in BY_ID} == {SAFE}

    def test_waiting_for_retry_after(self) -> None:
        """A second attempt on the same route is right once its Retry-After has passed."""
        assert BY_ID["S01"].verdict(seen("S01", primary=on_primary(0.0, 1.8), fallback=())) is PASS

    def test_sixteen(self) -> None:
        """The scenarios are the published ones, by number, with the published score of stock LiteLLM."""
        assert [scenario.id for scenario in SCENARIOS] == [f"S{number:02}" for number in range(1, 17)]
        today = [scenario.today for scenario in SCENARIOS]
        assert [today.count(verdict) for verdict in (PASS, PARTIAL, SAFE, FAIL)] == [9, 3, 4, 0]

    def test_most_within(self) -> None:
        """The fullest stretch counts, wherever it begins; its end is outside."""
        times = [0.0, 1.0, 5.0, 5.5, 5.9, 9.0]
        assert scenarios.most_within(times, 1.0) == 3
        assert scenarios.most_within([0.0, 0.5], 0.5) == 1
        assert scenarios.most_within([], 1.0) == 0


class TestReport:
    better = Outcome(BY_ID["S06"], stock=seen("S06", primary=on_primary(0.0, 3.0, 6.0)), patched=BEST["S06"])
    worse = Outcome(BY_ID["S08"], stock=seen("S08", BROKEN), patched=with_reply("S08", text="word1"))

    def test_table(self) -> None:
        """A row holds both sides of a scenario, and a word for what became of it."""
        better, worse = outages.rows([self.better, self.worse])
        for part in ("S06", "never answers", "partial → pass", "3 → 1", "1 → 1", "0.20 s → 0.20 s", "better"):
            assert part in better
        assert "safe → fail" in worse
        assert worse[-1] == "WRONG"

    def test_sentence(self) -> None:
        """The last line names what is wrong, or that nothing is, and counts the verdicts."""
        assert outages.sentence([self.better]) == (
            "The patched LiteLLM is nowhere worse and keeps every promise; stock LiteLLM: 0 pass, 1 partial, 0 safe, "
            "0 fail; the patched one: 1 pass, 0 partial, 0 safe, 0 fail."
        )
        assert "is wrong: S08 fail where stock is safe, S08 not kept: the whole answer;" in outages.sentence(
            [self.better, self.worse]
        )

    def test_remarks(self) -> None:
        """The remarks say how the outage that ends went, and where stock is not as published."""
        never = replace(OUTAGE_ENDS, primary=on_primary(0.0, 0.1))
        assert outages.remarks([Outcome(BY_ID["S15"], stock=never, patched=OUTAGE_ENDS), self.better]) == [
            "S15: attempts on the dead primary: 2 → 8",
            "S15: most of them within one cooldown: 2 → 1",
            "S15: worst request over the fallback's own time: 0.05 s → 0.05 s",
            "S15: the primary used again, after it healed: never → 0.40 s",
            "S15: stock LiteLLM is published as pass and is partial here (the primary is used within 30 s of healing)",
        ]
        [remark] = outages.remarks([Outcome(BY_ID["S04"], stock=seen("S04", BROKEN), patched=BEST["S04"])])
        assert remark == "S04: stock LiteLLM is published as pass and is safe here (the whole answer)"
        [remark] = outages.remarks([Outcome(BY_ID["S08"], stock=BEST["S08"], patched=BEST["S08"])])
        assert remark == "S08: stock LiteLLM is published as safe and is pass here (every check met)"

    @pytest.mark.parametrize("name", BY_ID)
    def test_json_round_trip(self, name: str) -> None:
        """What a worker prints is what is judged."""
        [row] = json.loads(json.dumps(outages.report([Outcome(BY_ID[name], stock=BEST[name], patched=BEST[name])])))[
            "scenarios"
        ]
        side = row["patched"]
        assert (side.pop("verdict"), side.pop("missed")) == ("pass", [])
        assert Observation.from_json(side) == BEST[name]


class TestObserve:
    """Inside one interpreter: scenarios made up for the test, with faults that litellm does not wait for."""

    rejected = scenarios.Scenario("S13", "400", (scenarios.UNSAFE,), today=PARTIAL)

    async def test_clock_and_log(self) -> None:
        """Requests begin at their time, the fault ends at its own, and each attempt knows whether it met it."""
        scenario = replace(self.rejected, requests=3, interval=10, heals_after=15)
        observed = await outages_run.observe(litellm, scenario, FAST)
        assert [reply.begun >= n for n, reply in enumerate(observed.replies)] == [True, True, True]
        assert observed.healed is not None
        assert observed.healed >= 1.5
        assert [(attempt.faulty, attempt.model) for attempt in observed.primary] == [
            (True, PRIMARY),
            (True, PRIMARY),
            (False, PRIMARY),
        ]
        assert observed.primary[1].at < observed.healed <= observed.primary[2].at
        assert observed.replies[2].whole
        assert not any(attempt.faulty for attempt in observed.fallback)
        assert observed.own_time > 0

    async def test_afterwards(self) -> None:
        """The request after the fault is answered by the healed primary, and counts as none of the attempts."""
        observed = await outages_run.observe(litellm, replace(self.rejected, asked_afterwards=True), FAST)
        assert observed.afterwards is not None
        assert (observed.afterwards.text, observed.afterwards.models) == (ANSWER, (PRIMARY,))
        assert len(observed.primary) == 1

    async def test_hang(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A request that comes to no end is cut off, neither an error nor an answer."""
        monkeypatch.setattr(outages_run, "patience", lambda scale: 1.0)
        observed = await outages_run.observe(litellm, replace(self.rejected, script=(SILENT,)), FAST)
        [reply] = observed.replies
        assert (reply.hung, reply.error, reply.clean, reply.text) == (True, None, True, "")
        assert self.rejected.verdict(observed) is FAIL

    @pytest.mark.parametrize(
        ("error", "clean"),
        [(KeyError("choices"), False), (litellm.RateLimitError("slow down", "openai", "m"), True)],
        ids=["bug", "clean"],
    )
    async def test_error(self, error: Exception, clean: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        """An error is named and quoted, and told from a bug."""

        async def read(*_: object) -> None:
            raise error

        monkeypatch.setattr(outages_run.Outage, "_read", read)
        [reply] = (await outages_run.observe(litellm, self.rejected, FAST)).replies
        assert (reply.error, reply.message, reply.clean) == (type(error).__name__, str(error), clean)


class TestRun:
    SIDES = ("--stock", sys.executable, "--patched", sys.executable)

    def test_end_to_end(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """This interpreter on both sides goes through the scenarios without a wait, and is not worse than itself."""
        file = tmp_path / "outages.json"
        assert main(outages.BENCHMARK, [*self.SIDES, "--scenario", "S11", "S12", "S13", "--json", str(file)]) == 0
        rows = json.loads(file.read_text())["scenarios"]
        assert [row["id"] for row in rows] == ["S11", "S12", "S13"]
        assert [len(row["stock"]["primary"]) for row in rows] == [1, 1, 1]
        assert [row["patched"]["verdict"] for row in rows][:2] == ["pass", "pass"]
        assert "nowhere worse" in capsys.readouterr().out.splitlines()[-1]

    @pytest.mark.parametrize(
        ("outcome", "code"), [(TestReport.better, 0), (TestReport.worse, 1)], ids=["better", "worse"]
    )
    def test_exit_code(self, outcome: Outcome, code: int) -> None:
        """The exit code is zero only when nothing is worse."""
        assert main(replace(outages.BENCHMARK, run=lambda *_: iter([outcome])), [*self.SIDES]) == code
