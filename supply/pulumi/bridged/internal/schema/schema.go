// Package schema describes a bridged provider in Pulumi's terms.
package schema

import (
	"context"
	"encoding/json"
	"os"

	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"github.com/spf13/afero"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfgen"
)

// Generate implements GetSchema. The official plugins embed their schema; these generate it on request.
func Generate(info tfbridge.ProviderInfo) func(context.Context, plugin.GetSchemaRequest) ([]byte, error) {
	return func(ctx context.Context, _ plugin.GetSchemaRequest) ([]byte, error) {
		generator, err := tfgen.NewGenerator(tfgen.GeneratorOptions{
			Package:       info.Name,
			Version:       info.Version,
			Language:      tfgen.Schema,
			ProviderInfo:  info,
			Root:          afero.NewMemMapFs(),
			Sink:          diag.DefaultSink(os.Stderr, os.Stderr, diag.FormatOptions{Color: colors.Never}),
			XInMemoryDocs: true,
			SkipExamples:  true,
		})
		if err != nil {
			return nil, err
		}
		generated, err := generator.Generate(ctx)
		if err != nil {
			return nil, err
		}
		generated.PackageSpec.Version = info.Version
		return json.Marshal(generated.PackageSpec)
	}
}
