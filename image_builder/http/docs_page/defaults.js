"use strict";

// Fills the forms of the documentation page with values with which every operation can be executed unchanged.
const formDefaults = (() => {
  // The path parameters that identify a resource of the caller, with the paths that list such resources (the newest first)
  // and create one.
  const RESOURCES = {
    id: { noun: "blueprint", list: "/blueprints", create: "/blueprints" },
    composeId: { noun: "build", list: "/composes", create: "/compose" },
  };

  const METHODS = ["get", "put", "post", "delete", "patch"];

  const mapValues = (object, change) =>
    Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value, key)]));

  const withRandomSuffix = (name) => `${name}-${Math.random().toString(36).slice(2, 10)}`;

  const resolveReference = (document, reference) =>
    reference
      .slice("#/".length)
      .split("/")
      .reduce((node, key) => node[key], document);

  // The schema with its references resolved, without the examples that Swagger UI would fill in.
  const withoutExamples = (document, { $ref, allOf = [], example, ...own }) => {
    const parts = $ref ? [...allOf, resolveReference(document, $ref)] : allOf;
    return Object.assign({}, ...parts.map((part) => withoutExamples(document, part)), own);
  };

  // The example of an optional parameter moves to its description, because a request with it would often find nothing.
  const optionalParameterDefaults = (document, { example, ...parameter }) => ({
    ...parameter,
    schema: withoutExamples(document, parameter.schema),
    description:
      example === undefined ? parameter.description : `${parameter.description}\n\nExample: \`${[example].flat().join(", ")}\``,
  });

  const withIdNote = (parameter) => {
    const { noun } = RESOURCES[parameter.name];
    const note =
      `If you do not change this example, the page replaces it by the id of your newest ${noun}. If you have none, and for ` +
      `an operation that changes or deletes a ${noun}, the page first creates an example ${noun}.`;
    return { ...parameter, description: `${parameter.description}\n\n${note}` };
  };

  const parameterDefaults = (document, parameter) => {
    if ("$ref" in parameter) {
      return parameter;
    }
    if (!parameter.required) {
      return optionalParameterDefaults(document, parameter);
    }
    return parameter.in === "path" && parameter.name in RESOURCES ? withIdNote(parameter) : parameter;
  };

  // Names of blueprints are unique, and the examples of an earlier visit may still exist.
  const withUniqueName = (example) =>
    typeof example === "string"
      ? example.replace(/^name = "(.*)"$/m, (_, name) => `name = "${withRandomSuffix(name)}"`)
      : { ...example, name: withRandomSuffix(example.name) };

  // Swagger UI shows a file chooser, without the example, for the format of TOML bodies, which is `binary`.
  const textSchema = ({ format, ...schema }) => schema;

  const bodyDefaults = ({ example, examples, schema, ...mediaType }) => ({
    ...mediaType,
    schema: schema.format === "binary" ? textSchema(schema) : schema,
    ...(example && { example: withUniqueName(example) }),
    ...(examples && {
      examples: mapValues(examples, (each) => ({ ...each, value: withUniqueName(each.value) })),
    }),
  });

  const takesBlueprintName = (operation) => ["createBlueprint", "updateBlueprint"].includes(operation.operationId);

  const operationDefaults = (document, operation) => ({
    ...operation,
    ...(operation.parameters && {
      parameters: operation.parameters.map((parameter) => parameterDefaults(document, parameter)),
    }),
    ...(takesBlueprintName(operation) && {
      requestBody: { ...operation.requestBody, content: mapValues(operation.requestBody.content, bodyDefaults) },
    }),
  });

  const pathDefaults = (document, path) =>
    mapValues(path, (member, key) => {
      if (key === "parameters") {
        return member.map((parameter) => parameterDefaults(document, parameter));
      }
      return METHODS.includes(key) ? operationDefaults(document, member) : member;
    });

  // Swagger UI first fills a body with the example of its schema. If that differs from the first of the named examples,
  // Swagger UI regards the body as edited, and keeps it when the user chooses another media type. So each schema gets the
  // first named example.
  const schemaDefaults = (schemas, paths) => {
    const withExamples = { ...schemas };
    for (const operation of Object.values(paths).flatMap((path) => METHODS.map((method) => path[method]))) {
      const { schema, examples } = operation?.requestBody?.content["application/json"] ?? {};
      if (examples !== undefined && schema.$ref !== undefined) {
        const name = schema.$ref.split("/").at(-1);
        withExamples[name] = { ...schemas[name], example: Object.values(examples)[0].value };
      }
    }
    return withExamples;
  };

  // The API document in the form in which the page shows it.
  const fillDocument = (document) => {
    if (document.paths === undefined) {
      return document;
    }
    const { parameters, schemas } = document.components;
    const paths = mapValues(document.paths, (path) => pathDefaults(document, path));
    const components = {
      ...document.components,
      parameters: mapValues(parameters, (parameter) => parameterDefaults(document, parameter)),
      schemas: schemaDefaults(schemas, paths),
    };
    return { ...document, paths, components };
  };

  const identityHeaders = (system) => {
    const credentials = Object.values(system.authSelectors.authorized()?.toJS() ?? {});
    return Object.fromEntries(credentials.map(({ schema, value }) => [schema.name, value]));
  };

  const exampleBody = (system, path) => {
    const content = system.specSelectors.specJson().toJS().paths[path].post.requestBody.content["application/json"];
    const example = content.examples["guest-image"].value;
    return path === RESOURCES.id.create ? withUniqueName(example) : example;
  };

  // The id of the newest resource, or of one that is created now; undefined if the service refuses or does not answer.
  const findId = async (system, { list, create }, method, server) => {
    const fetchJson = async (path, options = {}) => {
      const headers = { ...identityHeaders(system), "Content-Type": "application/json" };
      const answer = await fetch(`${server}${path}`, { headers, ...options }).catch(() => undefined);
      return answer?.ok ? answer.json() : undefined;
    };
    const page = method === "get" ? await fetchJson(`${list}?limit=1`) : undefined;
    const body = () => JSON.stringify(exampleBody(system, create));
    const found = page?.data[0] ?? (await fetchJson(create, { method: "POST", body: body() }));
    return found?.id;
  };

  // Put ids of resources of the running service into fields that still have the example of the API document.
  const fillIds = async (system, path, method) => {
    const { specSelectors, specActions, oas3Selectors } = system;
    const server = oas3Selectors.selectedServer(`${path}:${method}`) || oas3Selectors.selectedServer();
    const parameters = specSelectors.specJsonWithResolvedSubtrees().getIn(["paths", path, method, "parameters"]) ?? [];
    for (const parameter of parameters) {
      const isUnchanged =
        specSelectors.parameterWithMetaByIdentity([path, method], parameter).get("value") === parameter.get("example");
      if (parameter.get("in") === "path" && parameter.get("name") in RESOURCES && isUnchanged) {
        const id = await findId(system, RESOURCES[parameter.get("name")], method, server);
        if (id) {
          specActions.changeParamByIdentity([path, method], parameter, id, false);
        }
      }
    }
  };

  return { fillDocument, fillIds };
})();
