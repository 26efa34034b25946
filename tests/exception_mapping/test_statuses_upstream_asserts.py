"""Upstream's matrix asserts `status_code` for some providers: it holds, and the provider's own status is kept."""

from __future__ import annotations

import litellm
import pytest
from litellm.llms.bedrock.common_utils import BedrockError

from exception_mapping.expectations import STATUS_UPSTREAM_ASSERTS, mapped
from exception_mapping.failures import AnsweredError
from exception_mapping.provider_catalogue import KIND_OF_STATUS

ROWS = [(provider, status, told) for (provider, status), told in STATUS_UPSTREAM_ASSERTS.items()]


def bedrock_says(status: int, words: str) -> BedrockError:
    """Bedrock answering with `status` and a message."""
    return BedrockError(status_code=status, message=f'{{"message": "{words}"}}')


@pytest.mark.parametrize(("provider", "status", "told"), ROWS)
def test_the_status_is_the_one_upstream_asserts(provider: str, status: int, told: int) -> None:
    """Seven rows of the matrix differ from what the provider answered with."""
    assert mapped(AnsweredError(status, "upstream failure"), provider).status_code == told


@pytest.mark.parametrize(("provider", "status"), STATUS_UPSTREAM_ASSERTS)
def test_the_providers_own_status_stays_beside_it(provider: str, status: int) -> None:
    """Cooldown, retry and the caller's answer follow from the status that was answered, whatever is asserted."""
    exception = mapped(AnsweredError(status, "upstream failure"), provider)
    assert (exception.failure.http_status, exception.failure.kind) == (status, KIND_OF_STATUS[status])


@pytest.mark.parametrize(("provider", "status", "told"), ROWS)
def test_a_second_mapping_changes_nothing(provider: str, status: int, told: int) -> None:
    """An exception passes through the mapping once for each layer of LiteLLM that it leaves."""
    once = mapped(AnsweredError(status, "upstream failure"), provider)
    again = mapped(once, provider)
    assert again is once
    assert (again.status_code, again.failure.http_status) == (told, status)


@pytest.mark.parametrize(
    ("status", "expected"),
    [(400, litellm.BadRequestError), (500, litellm.InternalServerError), (503, litellm.ServiceUnavailableError)],
)
def test_bedrocks_unprocessable_image_keeps_its_status(status: int, expected: type[Exception]) -> None:
    """Since 1.107 LiteLLM knows these words, and gives them the class of the status; a row of the matrix is not for
    them."""
    exception = mapped(bedrock_says(status, "Could not process image"), "bedrock")
    row = (litellm.ServiceUnavailableError, STATUS_UPSTREAM_ASSERTS.get(("bedrock", status), status))
    assert (type(exception), exception.status_code) in [(expected, status), row]
    assert exception.failure.http_status == status
