/** The AWS provider: explicit, so that the ambient AWS environment is never used by accident. */
import * as aws from "@pulumi/aws";

export interface ProviderArgs {
  readonly region: string;
  /** URL of an EC2-compatible API to use instead of AWS. */
  readonly endpoint?: string;
  /** Tags of every resource that can have tags. */
  readonly tags: Readonly<Record<string, string>>;
}

export function awsProvider({ region, endpoint, tags }: ProviderArgs): aws.Provider {
  return new aws.Provider("aws", {
    region: region as aws.Region,
    defaultTags: { tags },
    ...(endpoint === undefined
      ? {}
      : {
          endpoints: [{ ec2: endpoint, elbv2: endpoint, sts: endpoint, iam: endpoint }],
          accessKey: "local",
          secretKey: "local",
          skipCredentialsValidation: true,
          skipMetadataApiCheck: true,
        }),
  });
}
