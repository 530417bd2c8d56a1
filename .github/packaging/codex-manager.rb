# Homebrew formula, for a tap. Names between @s are filled in for each release by formula.py.
class CodexManager < Formula
  include Language::Python::Virtualenv

  desc "Several OpenAI accounts behind one endpoint: encrypted vault and failover proxy"
  homepage "@HOMEPAGE@"
  url "@URL@"
  sha256 "@SHA256@"
  license "MIT"

  depends_on "python@3.13"

  def install
    # The versions that the tests were run with come with the source; pip brings them as wheels.
    virtualenv_create(libexec, "python3.13")
    system "python3.13", "-m", "pip", "--python=#{libexec}/bin/python", "install",
           "--constraint=constraints.txt", "."
    bin.install_symlink libexec/"bin/codex-manager", libexec/"bin/codex-account-manager"
    generate_completions_from_executable(bin/"codex-manager", "completion")
  end

  def caveats
    <<~EOS
      See it work without an account:  codex-manager demo
      The vault's key is kept in your login keychain.
    EOS
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/codex-manager --version")
    assert_match "the client saw no error", shell_output("#{bin}/codex-manager demo")
  end
end
