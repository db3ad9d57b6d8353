// What an administrator's script does with the client library of Azure. Told what to do by the first line of standard
// input, it writes a line of JSON when a suspension goes on, waits for a line, and writes what it saw.
"use strict";
const readline = require("node:readline");
const { AzureAnalysisServices } = require("@azure/arm-analysisservices");

const quick = { updateIntervalInMs: 20 };

async function refusal(promise) {
  try {
    await promise;
    return null;
  } catch (error) {
    return { status: error.statusCode, code: error.code, message: error.message };
  }
}

async function main() {
  const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const given = JSON.parse((await lines.next()).value);
  const credential = (token) => ({ getToken: async () => ({ token, expiresOnTimestamp: Date.now() + 3600e3 }) });
  const options = { endpoint: given.endpoint, retryOptions: { maxRetries: 0 } };
  const { servers, operations } = new AzureAnalysisServices(credential(given.token), given.subscription, options);
  const { group, name } = given;
  const seen = {};
  const all = async (pages) => {
    const found = [];
    for await (const one of pages) found.push(one.name);
    return found;
  };

  seen.listed = await all(servers.list());
  seen.listedInGroup = await all(servers.listByResourceGroup(group));
  seen.operations = await all(operations.list());
  seen.newSkus = (await servers.listSkusForNew()).value;
  seen.skus = (await servers.listSkusForExisting(group, name)).value;
  seen.ownName = await servers.checkNameAvailability("westus", { name, type: "Microsoft.AnalysisServices/servers" });
  seen.otherName = await servers.checkNameAvailability("westus", { name: "another1" });
  seen.created = await servers.beginCreateAndWait(group, name, {
    location: "West US",
    sku: { name: "S2", tier: "Standard", capacity: 1 },
    tags: { team: "finance" },
    asAdministrators: { members: given.administrators },
    backupBlobContainerUri: given.containerUrl,
    ipV4FirewallSettings: {
      firewallRules: [{ firewallRuleName: "office", rangeStart: "192.0.2.0", rangeEnd: "192.0.2.255" }],
      enablePowerBIService: true,
    },
    querypoolConnectionMode: "All",
  }, quick);
  seen.read = await servers.getDetails(group, name);
  // The library leaves out what is null; an empty text is sent.
  seen.cleared = await servers.beginUpdateAndWait(group, name, { backupBlobContainerUri: "" }, quick);
  seen.set = await servers.beginUpdateAndWait(group, name, { backupBlobContainerUri: given.containerUrl }, quick);
  seen.wrongUrl = await refusal(servers.beginUpdateAndWait(group, name, { backupBlobContainerUri: given.wrongUrl }, quick));

  const suspension = await servers.beginSuspend(group, name, quick);
  seen.pausing = await servers.getDetails(group, name);
  seen.meanwhile = await refusal(servers.beginResumeAndWait(group, name, quick));
  console.log(JSON.stringify({ isDone: suspension.isDone() }));
  await lines.next();
  await suspension.pollUntilDone();
  seen.paused = await servers.getDetails(group, name);
  console.log(JSON.stringify({ paused: seen.paused.state }));
  await lines.next();
  await servers.beginResumeAndWait(group, name, quick);
  seen.resumed = await servers.getDetails(group, name);

  seen.unknown = await refusal(servers.getDetails(group, "nosuch"));
  seen.another = await refusal(servers.beginCreateAndWait(group, "another1", { location: "x", sku: { name: "S1" } }, quick));
  seen.deletion = await refusal(servers.beginDeleteAndWait(group, name, quick));
  seen.gateway = await refusal(servers.listGatewayStatus(group, name));
  await servers.dissociateGateway(group, name);
  const stranger = new AzureAnalysisServices(credential(given.strangerToken), given.subscription, options);
  seen.stranger = await refusal(stranger.servers.getDetails(group, name));
  const nobody = new AzureAnalysisServices(credential("eyJ.made.up"), given.subscription, options);
  seen.nobody = await refusal(nobody.servers.getDetails(group, name));
  console.log(JSON.stringify(seen));
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
