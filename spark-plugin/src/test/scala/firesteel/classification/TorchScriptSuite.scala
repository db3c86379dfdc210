package firesteel.classification

import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.{Files, Path}

import scala.sys.process.{Process, ProcessLogger}

import firesteel.bridge.{InvalidDataException, InvalidSpecException}
import firesteel.data.LocalSpark
import firesteel.network.{Network, TorchScript}
import org.apache.spark.ml.linalg.Vector
import org.apache.spark.sql.DataFrame
import org.scalatest.funsuite.AnyFunSuite

/** Modules that PyTorch scripts at test time, trained and asked for predictions on Spark. */
final class TorchScriptSuite extends AnyFunSuite with LocalSpark {
  private lazy val folder: Path = Files.createTempDirectory("firesteel")
  private lazy val data: DataFrame = Blobs.frame(spark)
  private lazy val module: TorchScript =
    Network.torchScript(folder.resolve(python("perceptron")).toUri.toString)
  private lazy val model: NetworkClassificationModel = classifier(module).fit(data)

  /** Runs the script with these arguments and gives what it printed. */
  private def python(arguments: String*): String = {
    val interpreter = sys.env.getOrElse("FIRESTEEL_PYTHON", "build/venv-test/bin/python")
    val script = folder.resolve("modules.py")
    Files.write(script, TorchScriptSuite.Script.getBytes(UTF_8))
    val command = Seq(interpreter, script.toString, folder.toString) ++ arguments
    val (printed, errors) = (new StringBuilder, new StringBuilder)
    def into(text: StringBuilder)(line: String): Unit = {
      val _ = text.append(line)
    }
    // PyTorch brings its own libtorch.
    val process = Process(command, None, "LD_LIBRARY_PATH" -> "")
    val code = process ! ProcessLogger(into(printed)(_), into(errors)(_))
    assert(code === 0, errors)
    printed.toString
  }

  private def classifier(network: Network): NetworkClassifier =
    Blobs.classifier().setNetwork(network).setEpochs(4)

  private def near(found: Array[Double], expected: Array[Double]): Unit = {
    assert(found.length === expected.length)
    found.zip(expected).foreach { case (a, b) =>
      assert((a - b).abs <= 1e-5 * math.max(1, b.abs), s"$a is not $b")
    }
  }

  test(
    "a module is trained by two workers, predicts what PyTorch predicts, and comes back from disk"
  ) {
    val predicted = model.transform(data)
    assert(Blobs.accuracy(predicted) > 0.95)

    val path = folder.resolve("model")
    model.save(path.toString)
    val loaded = NetworkClassificationModel.load(path.toString)
    assert(loaded.network === module)
    assert(loaded.weights === model.weights)
    def raw(of: NetworkClassificationModel): Map[Long, Vector] =
      of.transform(data)
        .select("id", "rawPrediction")
        .collect()
        .map(row => row.getLong(0) -> row.getAs[Vector](1))
        .toMap
    val ofModel = raw(model)
    assert(raw(loaded) === ofModel)
    val one = Blobs.points(1).head
    near(loaded.predictRaw(one.features).toArray, ofModel(one.id).toArray)

    Files.write(folder.resolve("weights.safetensors"), model.weights)
    val rows = Blobs.points(240)
    Files.write(
      folder.resolve("rows.txt"),
      rows.map(_.features.toArray.mkString(" ")).mkString("\n").getBytes(UTF_8)
    )
    val expected = python("predict").split(' ').map(_.toDouble)
    near(rows.flatMap(row => ofModel(row.id).toArray).toArray, expected)
  }

  test("training starts from weights that are given, with checkpoints, too") {
    val standing = classifier(module.withWeights(model.weights))
      .setOptimizer("sgd")
      .setLearningRate(1e-30)
      .setEpochs(1)
      .setCheckpointDir(folder.resolve("checkpoints").toString)
    val again = standing.fit(data)
    assert(again.summary.losses.head < model.summary.losses.head / 2)
    assert(again.network === module, "a model has no weights but those it was trained to")
  }

  test("a module is JSON and comes back from it, and a saved estimator has it") {
    assert(Network.fromJson(module.toJson) === module)
    assert(module.toJson.startsWith("""{"format":"firesteel.torchscript/1","inputs":[{"name":"""))
    assert(!module.toString.contains("PK"))
    val path = folder.resolve("estimator").toString
    classifier(module).save(path)
    assert(NetworkClassifier.load(path).getNetwork === module)
  }

  test("what is wrong with a module is named before any job runs") {
    val error = intercept[InvalidSpecException](
      classifier(module.withInputShape(2, 2)).fit(data)
    )
    val zeros = "the TorchScript module does not take 2 rows of zeros, 'features' [2, 2, 2]: "
    assert(error.getMessage.startsWith(zeros), error.getMessage)
    val wrong = module.withWeights(Blobs.classifier().setEpochs(1).fit(data).weights)
    val refused = intercept[InvalidDataException](classifier(wrong).fit(data))
    assert(refused.getMessage.contains("'0.weight' of the weights is F32 [16, 4]"))

    val none = folder.resolve("none.pt")
    Files.write(none, Array[Byte](1, 2, 3))
    val message =
      intercept[IllegalArgumentException](Network.torchScript(none.toString)).getMessage
    assert(message.contains("the module, 3 bytes, is not an archive of torch.jit.save"))
    val json = module.toJson.replace("float32", "float64")
    val unknown = intercept[IllegalArgumentException](Network.fromJson(json)).getMessage
    assert(unknown.contains("the type of input 0 is 'float64', not float32 or int64"), unknown)
  }
}

private object TorchScriptSuite {

  /** Saves a module, or loads it, with trained weights, and predicts. */
  private val Script =
    """import sys
      |import torch
      |from pathlib import Path
      |from safetensors.torch import load_file
      |from torch import nn
      |
      |folder, what = Path(sys.argv[1]), sys.argv[2]
      |if what == "perceptron":
      |    torch.manual_seed(5)
      |    layers = [nn.Linear(4, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.1), nn.Linear(12, 3)]
      |    torch.jit.script(nn.Sequential(*layers)).save(folder / "perceptron.pt")
      |    print("perceptron.pt")
      |else:
      |    module = torch.jit.load(folder / "perceptron.pt").eval()
      |    module.load_state_dict(load_file(folder / "weights.safetensors"))
      |    rows = [[float(x) for x in line.split()] for line in (folder / "rows.txt").read_text().splitlines()]
      |    with torch.no_grad():
      |        print(*module(torch.tensor(rows)).flatten().tolist())
      |""".stripMargin
}
