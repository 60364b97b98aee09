// Queues a build and reads the list of builds with the generated client: `cmd BASE_URL IDENTITY`.
// Prints a JSON document: the id of the build, what its status says, and the distribution of each build of the list.
package main

import (
	"context"
	"encoding/json"
	"log"
	"net/http"
	"os"

	"client"
)

type answer struct {
	Queued        string                           `json:"queued"`
	ImageType     *client.ImageTypes               `json:"image_type"`
	Size          *uint64                          `json:"size"`
	Distributions map[string]*client.Distributions `json:"distributions"`
}

func main() {
	result, err := run(context.Background(), os.Args[1], os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, baseURL, identity string) (*answer, error) {
	identify := func(_ context.Context, request *http.Request) error {
		request.Header.Set("x-rh-identity", identity)
		return nil
	}
	api, err := client.NewClientWithResponses(baseURL, client.WithRequestEditorFn(identify))
	if err != nil {
		return nil, err
	}
	var options client.UploadRequest_Options
	if err := options.FromAWSS3UploadRequestOptions(client.AWSS3UploadRequestOptions{}); err != nil {
		return nil, err
	}
	distribution, size := client.Centos9, uint64(1<<32)
	started, err := api.ComposeImageWithResponse(ctx, nil, client.ComposeImageJSONRequestBody{
		Distribution: &distribution,
		ImageRequests: []client.ImageRequest{{
			Architecture:  client.ImageRequestArchitectureX8664,
			ImageType:     client.ImageTypesGuestImage,
			Size:          &size,
			UploadRequest: client.UploadRequest{Type: client.UploadTypesAwsS3, Options: options},
		}},
	})
	if err != nil {
		return nil, err
	}
	if started.JSON201 == nil {
		log.Fatalf("the build was not started: %s", started.Body)
	}
	status, err := api.GetComposeStatusWithResponse(ctx, started.JSON201.Id, nil)
	if err != nil {
		return nil, err
	}
	page, err := api.GetComposesWithResponse(ctx, nil)
	if err != nil {
		return nil, err
	}
	image := status.JSON200.Request.ImageRequests[0]
	distributions := map[string]*client.Distributions{}
	for _, build := range page.JSON200.Data {
		distributions[build.Id.String()] = build.Request.Distribution
	}
	return &answer{started.JSON201.Id.String(), image.ImageType, image.Size, distributions}, nil
}
