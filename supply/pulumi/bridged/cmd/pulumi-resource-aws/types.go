package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"

	"github.com/pulumi/pulumi-terraform-bridge/v3/dynamic/internal/shim/run"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/proto"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
)

// version of the npm package @pulumi/aws whose types are served; set by the linker.
var version string

// name is a Pulumi module and a type or function in it.
type name struct{ module, name string }

// resources are served, by Terraform type: all that infra/ uses, and no other.
var resources = map[string]name{
	"aws_vpc":                             {"ec2", "Vpc"},
	"aws_subnet":                          {"ec2", "Subnet"},
	"aws_internet_gateway":                {"ec2", "InternetGateway"},
	"aws_route_table":                     {"ec2", "RouteTable"},
	"aws_route_table_association":         {"ec2", "RouteTableAssociation"},
	"aws_route":                           {"ec2", "Route"},
	"aws_default_security_group":          {"ec2", "DefaultSecurityGroup"},
	"aws_security_group":                  {"ec2", "SecurityGroup"},
	"aws_vpc_security_group_ingress_rule": {"vpc", "SecurityGroupIngressRule"},
	"aws_vpc_security_group_egress_rule":  {"vpc", "SecurityGroupEgressRule"},
	"aws_key_pair":                        {"ec2", "KeyPair"},
	"aws_instance":                        {"ec2", "Instance"},
	"aws_eip":                             {"ec2", "Eip"},
	"aws_eip_association":                 {"ec2", "EipAssociation"},
	"aws_lb":                              {"lb", "LoadBalancer"},
	"aws_lb_target_group":                 {"lb", "TargetGroup"},
	"aws_lb_target_group_attachment":      {"lb", "TargetGroupAttachment"},
	"aws_lb_listener":                     {"lb", "Listener"},
}

// functions are served, by Terraform data source.
var functions = map[string]name{
	"aws_ami":                {"ec2", "getAmi"},
	"aws_availability_zones": {"index", "getAvailabilityZones"},
}

// fields lists properties whose names or types in @pulumi/aws differ from what the bridge derives. The conformance test
// (test/supply/conformance.test.ts) finds them: an input under the wrong name would be silently ignored.
var fields = map[string]map[string]*tfbridge.SchemaInfo{
	"aws_security_group":         {"ingress": {Name: "ingress"}, "egress": {Name: "egress"}},
	"aws_default_security_group": {"ingress": {Name: "ingress"}, "egress": {Name: "egress"}},
	"aws_lb_target_group":        {"deregistration_delay": {Type: "integer"}},
}

func providerInfo(ctx context.Context, child run.Provider) tfbridge.ProviderInfo {
	info := tfbridge.ProviderInfo{
		P:              proto.New(ctx, served{child}),
		Name:           "aws",
		Version:        version,
		ResourcePrefix: "aws",
		MetadataInfo:   &tfbridge.MetadataInfo{Path: "", Data: tfbridge.ProviderMetadata(nil)},
		Resources:      map[string]*tfbridge.ResourceInfo{},
		DataSources:    map[string]*tfbridge.DataSourceInfo{},
		Config: map[string]*tfbridge.SchemaInfo{
			"skip_metadata_api_check":       {Type: "boolean"},
			"region":                        {Default: &tfbridge.DefaultInfo{EnvVars: []string{"AWS_REGION", "AWS_DEFAULT_REGION"}}},
			"default_tags":                  {MaxItemsOne: tfbridge.True()},
			"ignore_tags":                   {MaxItemsOne: tfbridge.True()},
			"assume_role":                   {MaxItemsOne: tfbridge.True()},
			"assume_role_with_web_identity": {MaxItemsOne: tfbridge.True()},
		},
	}
	for terraform, n := range resources {
		token := tokens.Type(fmt.Sprintf("aws:%s/%s:%s", n.module, lowerFirst(n.name), n.name))
		info.Resources[terraform] = &tfbridge.ResourceInfo{Tok: token, Fields: fields[terraform]}
	}
	for terraform, n := range functions {
		token := tokens.ModuleMember(fmt.Sprintf("aws:%s/%s:%s", n.module, n.name, n.name))
		info.DataSources[terraform] = &tfbridge.DataSourceInfo{Tok: token}
	}
	info.SetAutonaming(255, "-")
	return info
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// served limits the schema to the types above, so that the bridge does not process some 1500 resource types.
type served struct{ run.Provider }

func (s served) GetProviderSchema(
	ctx context.Context, request *tfprotov6.GetProviderSchemaRequest,
) (*tfprotov6.GetProviderSchemaResponse, error) {
	response, err := s.Provider.GetProviderSchema(ctx, request)
	if err != nil {
		return nil, err
	}
	if response.ResourceSchemas, err = pick(response.ResourceSchemas, resources); err != nil {
		return nil, err
	}
	if response.DataSourceSchemas, err = pick(response.DataSourceSchemas, functions); err != nil {
		return nil, err
	}
	response.Functions, response.EphemeralResourceSchemas = nil, nil
	return response, nil
}

func pick(all map[string]*tfprotov6.Schema, wanted map[string]name) (map[string]*tfprotov6.Schema, error) {
	picked := map[string]*tfprotov6.Schema{}
	for terraform := range wanted {
		schema, known := all[terraform]
		if !known {
			return nil, fmt.Errorf("the Terraform provider has no %s", terraform)
		}
		picked[terraform] = schema
	}
	return picked, nil
}
