// Command pulumi-resource-tls serves the types of @pulumi/tls v5 with HashiCorp's TLS provider, in process, through
// Pulumi's Terraform bridge, as the official plugin does.
package main

import (
	"context"

	"github.com/hashicorp/terraform-provider-tls/internal/provider"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"

	pfbridge "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
)

// version of the npm package @pulumi/tls whose types are served.
const version = "5.0.10"

var resources = map[string]string{
	"tls_private_key":         "tls:index/privateKey:PrivateKey",
	"tls_cert_request":        "tls:index/certRequest:CertRequest",
	"tls_locally_signed_cert": "tls:index/locallySignedCert:LocallySignedCert",
	"tls_self_signed_cert":    "tls:index/selfSignedCert:SelfSignedCert",
}

var functions = map[string]string{
	"tls_certificate": "tls:index/getCertificate:getCertificate",
	"tls_public_key":  "tls:index/getPublicKey:getPublicKey",
}

func main() {
	info := tfbridge.ProviderInfo{
		P:              pfbridge.ShimProvider(provider.New()),
		Name:           "tls",
		Version:        version,
		ResourcePrefix: "tls",
		MetadataInfo:   &tfbridge.MetadataInfo{Path: "", Data: tfbridge.ProviderMetadata(nil)},
		Resources:      map[string]*tfbridge.ResourceInfo{},
		DataSources:    map[string]*tfbridge.DataSourceInfo{},
	}
	for terraform, token := range resources {
		info.Resources[terraform] = &tfbridge.ResourceInfo{Tok: tokens.Type(token)}
	}
	for terraform, token := range functions {
		info.DataSources[terraform] = &tfbridge.DataSourceInfo{Tok: tokens.ModuleMember(token)}
	}
	pfbridge.Main(context.Background(), "tls", info, pfbridge.ProviderMetadata{XGetSchema: generateSchema(info)})
}
