import { mount } from 'svelte'
import App from './App.svelte'
import './app.css'
import { say } from './lib/say.svelte'

const target = document.getElementById('app')
if (target) void say.begin().then(() => mount(App, { target }))
