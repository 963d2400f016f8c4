/** The provider of AWS: always named, never the one that the environment happens to give. */
import * as aws from "@pulumi/aws";

export interface ProviderArgs {
  readonly region: string;
  /** URL of an EC2-compatible API to use in AWS's place. */
  readonly endpoint?: string;
  /** Tags of everything that can have tags. */
  readonly tags: Readonly<Record<string, string>>;
}

export function awsProvider({ region, endpoint, tags }: ProviderArgs): aws.Provider {
  return new aws.Provider("aws", {
    region: region as aws.Region,
    defaultTags: { tags },
    ...(endpoint === undefined
      ? {}
      : {
          endpoints: [{ ec2: endpoint, elbv2: endpoint, sts: endpoint, iam: endpoint, ssm: endpoint }],
          accessKey: "local",
          secretKey: "local",
          skipCredentialsValidation: true,
          skipMetadataApiCheck: true,
        }),
  });
}
