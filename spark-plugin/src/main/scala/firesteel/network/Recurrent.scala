package firesteel.network

import org.json4s.JsonAST.{JInt, JValue}

/** The base of [[LSTM]] and [[GRU]]. */
sealed abstract class RecurrentLayer private[network] () extends StandardLayer {
  def hiddenSize: Int
  def numLayers: Int
  def bias: Boolean
  def dropout: Double
  def bidirectional: Boolean
  def output: String
  def inputSize: Option[Int]

  positive("hidden_size", hiddenSize)
  positive("num_layers", numLayers)
  probability("dropout", dropout)
  require(
    Set("sequence", "last")(output),
    s"$op: output must be 'sequence' or 'last', not '$output'"
  )
  inputSize.foreach(positive("input_size", _))

  private[network] override def args: List[(String, JValue)] =
    inputSize.map("input_size" -> JInt(_)).toList ++
      List("hidden_size" -> JInt(hiddenSize)) ++
      Args.unless("num_layers", numLayers, 1) ++
      Args.unless("bias", bias, true) ++
      Args.unless("dropout", dropout, 0.0) ++
      Args.unless("bidirectional", bidirectional, false) ++
      Args.unless("output", output, "sequence")
}

/** Long short-term memory over a sequence: `[length, in]` becomes `[length, hiddenSize]`, twice as wide if
  * bidirectional; with the output `"last"` only the last hidden state, `[hiddenSize]`. Rows are the first dimension
  * (PyTorch's `batch_first`).
  */
final case class LSTM(
    hiddenSize: Int,
    numLayers: Int = 1,
    bias: Boolean = true,
    dropout: Double = 0.0,
    bidirectional: Boolean = false,
    output: String = "sequence",
    inputSize: Option[Int] = None
) extends RecurrentLayer

/** Gated recurrent units over a sequence, with the arguments and shapes of [[LSTM]]. */
final case class GRU(
    hiddenSize: Int,
    numLayers: Int = 1,
    bias: Boolean = true,
    dropout: Double = 0.0,
    bidirectional: Boolean = false,
    output: String = "sequence",
    inputSize: Option[Int] = None
) extends RecurrentLayer
