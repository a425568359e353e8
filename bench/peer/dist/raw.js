"use strict";
var __importDefault = (this && this.__importDefault) || function (mod) {
    return (mod && mod.__esModule) ? mod : { "default": mod };
};
Object.defineProperty(exports, "__esModule", { value: true });
// Ceiling: raw Fastify, JSON-schema validation, no database.
const fastify_1 = __importDefault(require("fastify"));
const app = (0, fastify_1.default)();
app.post('/nodb', {
    schema: {
        body: {
            type: 'object', required: ['external_id', 'title', 'severity', 'source'],
            properties: {
                external_id: { type: 'string', minLength: 1, maxLength: 255 }, title: { type: 'string', maxLength: 500 },
                severity: { enum: ['critical', 'high', 'medium', 'low'] }, source: { type: 'string' },
                metadata: { type: 'object' },
            },
        },
        response: { 202: { type: 'object', properties: { id: { type: 'integer' }, external_id: { type: 'string' } } } },
    },
}, async (req, reply) => {
    reply.code(202);
    return { id: 0, external_id: req.body.external_id };
});
void app.listen({ port: Number(process.env.PORT ?? 4002), host: '127.0.0.1' });
