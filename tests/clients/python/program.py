"""Queue a build and read the list of builds with the generated client: `program.py BASE_URL IDENTITY`.

Prints a JSON document: the id of the build, what its status says, and the distribution of each build of the list.
"""

import json
import sys

from image_builder_client.api.compose import compose_image, get_compose_status, get_composes
from image_builder_client.client import AuthenticatedClient
from image_builder_client.models import (
    AWSS3UploadRequestOptions,
    ComposeRequest,
    ComposeResponse,
    ComposesResponse,
    ComposeStatus,
    Distributions,
    ImageRequest,
    ImageRequestArchitecture,
    ImageTypes,
    UploadRequest,
    UploadTypes,
)


def main(base_url: str, identity: str) -> None:
    client = AuthenticatedClient(base_url=base_url, token=identity, prefix="", auth_header_name="x-rh-identity")
    image = ImageRequest(
        architecture=ImageRequestArchitecture.X86_64,
        image_type=ImageTypes.GUEST_IMAGE,
        size=1 << 32,
        upload_request=UploadRequest(type_=UploadTypes.AWS_S3, options=AWSS3UploadRequestOptions()),
    )
    request = ComposeRequest(distribution=Distributions.CENTOS_9, image_requests=[image])
    started = compose_image.sync(client=client, body=request)
    assert isinstance(started, ComposeResponse), started
    status = get_compose_status.sync(client=client, compose_id=started.id)
    assert isinstance(status, ComposeStatus), status
    (stored,) = status.request.image_requests or []
    page = get_composes.sync(client=client)
    assert isinstance(page, ComposesResponse), page
    answer = {
        "queued": str(started.id),
        "image_type": stored.image_type,
        "size": stored.size,
        "distributions": {str(build.id): build.request.distribution or None for build in page.data},
    }
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
