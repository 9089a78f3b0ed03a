// What the code of DevTools expects of a newer Node.js than 20: loaded with --import, by workers too.
Promise.withResolvers ??= function () {
  const parts = {};
  parts.promise = new this((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
};
